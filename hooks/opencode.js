// acr-hook begin: notes sessions for acr; `acr hooks uninstall opencode` takes it out
import { spawnSync } from "node:child_process"

const hook = ["python3", "-I", "-S", "acr_hook.py", "opencode"]
const told = new Set()

function tell(event, about) {
  const argv = [...hook.slice(1), event, "--acr-hook"]
  const input = JSON.stringify({ hook_event_name: event, ...about })
  try {
    spawnSync(hook[0], argv, { input, timeout: 5000, stdio: ["pipe", "ignore", "ignore"] })
  } catch {} // whatever it is, it is not opencode's trouble
}

function usage({ input, output, reasoning, cache }) {
  return {
    input_tokens: input + cache.read + cache.write,
    cached_input_tokens: cache.read,
    cache_write_input_tokens: cache.write,
    output_tokens: output + reasoning,
    reasoning_output_tokens: reasoning,
  }
}

export const Acr = async ({ directory: cwd }) => ({
  "chat.message": async ({ sessionID }, { message, parts }) => {
    const typed = parts.filter((part) => part.type === "text" && !part.synthetic)
    const prompt = typed.map((part) => part.text).join("\n")
    const model = message.model && `${message.model.providerID}/${message.model.modelID}`
    tell("UserPromptSubmit", { session_id: sessionID, cwd, model, prompt })
  },
  "tool.execute.after": async ({ tool, sessionID, args }, { output, metadata }) => {
    const response = { output, exit_code: metadata?.exit ?? null }
    const about = { tool_name: tool, tool_input: args ?? {}, tool_response: response }
    tell("PostToolUse", { session_id: sessionID, cwd, ...about })
  },
  event: async ({ event: { type, properties } }) => {
    const info = properties?.info
    if (type === "session.created") tell("SessionStart", { session_id: info.id, cwd })
    if (type === "session.idle") tell("Stop", { session_id: properties.sessionID, cwd })
    if (type !== "message.updated" || info.role !== "assistant" || !info.time.completed) return
    if (told.has(info.id)) return // it comes twice
    told.add(info.id)
    const about = { model: `${info.providerID}/${info.modelID}`, cost: info.cost }
    const token_usage = usage(info.tokens)
    tell("PostModelRequest", { session_id: info.sessionID, cwd, ...about, token_usage })
  },
})
// acr-hook end
