// Removes one taint from this node once its agent is warm.
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const { KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT, TOKEN_FILE, NODE_NAME, TAINT_KEY, LEAT_ADMIN } =
  process.env
const host = KUBERNETES_SERVICE_HOST.includes(':') ? `[${KUBERNETES_SERVICE_HOST}]` : KUBERNETES_SERVICE_HOST
const node = `https://${host}:${KUBERNETES_SERVICE_PORT}/api/v1/nodes/${NODE_NAME}`
const patience = Number(process.env.PATIENCE_MS ?? 10_000)
const firstPause = Number(process.env.PAUSE_MS ?? patience / 20)
const mostSeconds = Number(process.env.MOST_SECONDS)
const LONGEST_PAUSE_MS = 15_000

const started = Date.now()
await until('the node may get pods', async () => {
  if (mostSeconds > 0 && Date.now() - started >= mostSeconds * 1000)
    return console.log(`the node is not warm after ${mostSeconds} s`)
  const response = await fetch(`http://${LEAT_ADMIN}/readyz?warm=1`, {
    signal: AbortSignal.timeout(patience),
  })
  const text = (await response.text()).trim()
  if (!response.ok) throw new Error(text)
})
await until(`removed the taint ${TAINT_KEY} from ${NODE_NAME}`, async () => {
  const taints = (await ask('GET')).spec.taints ?? []
  // Taints are removed from the last one on, so that earlier indexes stay valid; each must still be what was read.
  const steps = taints.flatMap((value, index) => {
    const path = `/spec/taints/${index}`
    return value.key === TAINT_KEY
      ? [
          { op: 'remove', path },
          { op: 'test', path, value },
        ]
      : []
  })
  if (steps.length > 0) await ask('PATCH', steps.reverse())
})

async function until(goal, attempt) {
  let last
  for (let pause = firstPause; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      await attempt()
      return console.log(goal)
    } catch (error) {
      const why = `${error.message}${error.cause === undefined ? '' : `: ${error.cause.message}`}`
      if (why !== last) console.log(`not yet: ${why}`)
      last = why
    }
    await delay(pause)
  }
}

async function ask(method, steps) {
  // Kubernetes renews the token in its file.
  const headers = { authorization: `Bearer ${readFileSync(TOKEN_FILE, 'utf8').trim()}` }
  if (steps !== undefined) headers['content-type'] = 'application/json-patch+json'
  const body = steps === undefined ? undefined : JSON.stringify(steps)
  const response = await fetch(node, { method, headers, body, signal: AbortSignal.timeout(patience) })
  if (response.ok) return await response.json()
  const said = (await response.text()).slice(0, 300)
  throw new Error(`the API server answers ${response.status} to ${method}: ${said}`)
}
