// Writes an event about this pod while no client has asked its agent for an image, and ends once one has.
import { readFileSync } from 'node:fs'
import { get as getPlain } from 'node:http'
import { get as getEncrypted } from 'node:https'
import { text as textOf } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'

const { KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT, TOKEN_FILE, NODE_NAME, ADMIN_URL, AFTER_SECONDS } =
  process.env
const { POD_NAME, POD_NAMESPACE, POD_UID } = process.env
const host = KUBERNETES_SERVICE_HOST.includes(':') ? `[${KUBERNETES_SERVICE_HOST}]` : KUBERNETES_SERVICE_HOST
const events = `https://${host}:${KUBERNETES_SERVICE_PORT}/api/v1/namespaces/${POD_NAMESPACE}/events`
const requestTimeoutMs = Number(process.env.REQUEST_TIMEOUT_MS ?? 10_000)
const pauseMs = Number(process.env.PAUSE_MS ?? 60_000)
// Kubernetes drops events after an hour.
const repeatMs = Number(process.env.REPEAT_MS ?? 3_600_000)

let told = Number.NEGATIVE_INFINITY
let lastProblem
for (let isAsked = false; !isAsked; ) {
  try {
    const text = await requestReadiness()
    // An agent that has just started is ready although no client has asked.
    isAsked = /^asked: yes$/m.test(text)
    const isDue = performance.now() - told >= repeatMs
    // Before that, the agent may not be ready for another reason.
    if (/no client has asked/.test(text) && isDue) {
      await createEvent()
      told = performance.now()
      console.log('wrote an event: no client has asked for an image')
    }
    lastProblem = undefined
  } catch (error) {
    const problem = `${error.message}${error.cause === undefined ? '' : `: ${error.cause.message}`}`
    if (problem !== lastProblem) console.log(`not yet: ${problem}`)
    lastProblem = problem
  }
  if (!isAsked) await delay(pauseMs)
}
console.log('a client has asked for an image')

/** Like the kubelet's probes it takes any certificate: only a program of this node can answer at this address. */
async function requestReadiness() {
  const url = new URL(`/readyz?asked=${AFTER_SECONDS}`, ADMIN_URL)
  const get = url.protocol === 'https:' ? getEncrypted : getPlain
  const options = { rejectUnauthorized: false, agent: false, signal: AbortSignal.timeout(requestTimeoutMs) }
  return await new Promise((resolve, reject) => {
    get(url, options, (response) => {
      textOf(response).then(resolve, reject)
    }).on('error', reject)
  })
}

async function createEvent() {
  const now = new Date().toISOString().replace(/\.\d+/, '')
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { generateName: 'leat-', namespace: POD_NAMESPACE },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', name: POD_NAME, namespace: POD_NAMESPACE, uid: POD_UID },
    type: 'Warning',
    reason: 'RuntimeDoesNotAsk',
    message: `no client on node ${NODE_NAME} has asked this agent for an image: if pods have started there, the runtime of the node does not use it; the message of runtime-install, and agent doctor, say why`,
    source: { component: 'leat', host: NODE_NAME },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  }
  // The file is read each time, because Kubernetes renews the token.
  const headers = {
    authorization: `Bearer ${readFileSync(TOKEN_FILE, 'utf8').trim()}`,
    'content-type': 'application/json',
  }
  const signal = AbortSignal.timeout(requestTimeoutMs)
  const response = await fetch(events, { method: 'POST', headers, body: JSON.stringify(event), signal })
  if (response.ok) return
  throw new Error(`the API server answers ${response.status}: ${(await response.text()).slice(0, 300)}`)
}
