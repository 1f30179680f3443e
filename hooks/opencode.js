// acr-hook begin: notes prompts and turns for acr; `acr hooks uninstall opencode` takes it out
import { spawnSync } from "node:child_process"

const hook = ["python3", "-I", "-S", "acr_hook.py", "opencode"]

function tell(event, about) {
  const input = JSON.stringify({ hook_event_name: event, ...about })
  const options = { input, timeout: 5000, stdio: ["pipe", "ignore", "ignore"] }
  try {
    spawnSync(hook[0], [...hook.slice(1), event, "--acr-hook"], options)
  } catch {} // whatever it is, it is not opencode's trouble
}

export const Acr = async ({ directory: cwd }) => ({
  "chat.message": async ({ sessionID }, { message, parts }) => {
    const typed = parts.filter((part) => part.type === "text" && !part.synthetic)
    const prompt = typed.map((part) => part.text).join("\n")
    const model = message.model && `${message.model.providerID}/${message.model.modelID}`
    const ids = { session_id: sessionID, turn_id: message.id }
    tell("UserPromptSubmit", { ...ids, cwd, model, prompt })
  },
  event: async ({ event: { type, properties } }) => {
    if (type === "session.idle") tell("Stop", { session_id: properties.sessionID, cwd })
  },
})
// acr-hook end
