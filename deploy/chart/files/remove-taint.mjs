// Removes one taint from this node once its agent is warm.
import { readFileSync } from 'node:fs'
import { get as getPlain } from 'node:http'
import { get as getEncrypted } from 'node:https'
import { text as textOf } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'

const { KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT, TOKEN_FILE, NODE_NAME, TAINT_KEY, ADMIN_URL } =
  process.env
const host = KUBERNETES_SERVICE_HOST.includes(':') ? `[${KUBERNETES_SERVICE_HOST}]` : KUBERNETES_SERVICE_HOST
const node = `https://${host}:${KUBERNETES_SERVICE_PORT}/api/v1/nodes/${NODE_NAME}`
const requestTimeoutMs = Number(process.env.REQUEST_TIMEOUT_MS ?? 10_000)
const firstPauseMs = Number(process.env.PAUSE_MS ?? requestTimeoutMs / 20)
const maxSeconds = Number(process.env.MOST_SECONDS)
const MAX_PAUSE_MS = 15_000

const started = Date.now()
await retryUntil('the node may get pods', async () => {
  if (maxSeconds > 0 && Date.now() - started >= maxSeconds * 1000)
    return console.log(`the node is not warm after ${maxSeconds} s`)
  const { status, text } = await requestReadiness()
  if (status !== 200) throw new Error(text.trim())
})
await retryUntil(`removed the taint ${TAINT_KEY} from ${NODE_NAME}`, async () => {
  const taints = (await requestNode('GET')).spec.taints ?? []
  // Removing the last taint first keeps the earlier indexes valid. The patch fails if a taint has changed since it was read.
  const steps = taints.flatMap((value, index) => {
    const path = `/spec/taints/${index}`
    return value.key === TAINT_KEY
      ? [
          { op: 'remove', path },
          { op: 'test', path, value },
        ]
      : []
  })
  if (steps.length > 0) await requestNode('PATCH', steps.reverse())
})

async function retryUntil(goal, attempt) {
  let lastReason
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    try {
      await attempt()
      return console.log(goal)
    } catch (error) {
      const reason = `${error.message}${error.cause === undefined ? '' : `: ${error.cause.message}`}`
      if (reason !== lastReason) console.log(`not yet: ${reason}`)
      lastReason = reason
    }
    await delay(pauseMs)
  }
}

/** Like the kubelet's probes it takes any certificate: only a program of this node can answer at this address. */
async function requestReadiness() {
  const url = new URL('/readyz?warm=1', ADMIN_URL)
  const get = url.protocol === 'https:' ? getEncrypted : getPlain
  const options = { rejectUnauthorized: false, agent: false, signal: AbortSignal.timeout(requestTimeoutMs) }
  return await new Promise((resolve, reject) => {
    get(url, options, (response) => {
      textOf(response).then((text) => resolve({ status: response.statusCode, text }), reject)
    }).on('error', reject)
  })
}

async function requestNode(method, steps) {
  // The file is read each time, because Kubernetes renews the token.
  const headers = { authorization: `Bearer ${readFileSync(TOKEN_FILE, 'utf8').trim()}` }
  if (steps !== undefined) headers['content-type'] = 'application/json-patch+json'
  const body = steps === undefined ? undefined : JSON.stringify(steps)
  const response = await fetch(node, { method, headers, body, signal: AbortSignal.timeout(requestTimeoutMs) })
  if (response.ok) return await response.json()
  const responseText = (await response.text()).slice(0, 300)
  throw new Error(`the API server answers ${response.status} to ${method}: ${responseText}`)
}
