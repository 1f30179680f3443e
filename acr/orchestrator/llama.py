"""The only module that imports llama_cpp."""

from __future__ import annotations

__all__ = ["available"]

FIX = "acr works without it; to add it install a C++ compiler and run ./install.sh again"


def available() -> tuple[bool, str]:
    """(True, version) when llama.cpp's library loads and starts, else (False, reason and fix)."""
    try:
        import llama_cpp

        llama_cpp.llama_backend_init()
    except ImportError as e:
        if e.name == "llama_cpp":
            return False, f"llama-cpp-python is not installed; {FIX}"
        return False, f"llama-cpp-python is incomplete ({e}); {FIX}"
    except (OSError, RuntimeError, AttributeError) as e:  # its library is missing or unfit
        return False, f"llama-cpp-python cannot load its library ({e}); reinstall it: {FIX}"
    return True, f"llama-cpp-python {llama_cpp.__version__}"
