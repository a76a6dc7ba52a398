// Waits until the settings of every node's runtime are restored: until each pod of the DaemonSet is ready.
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const { KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT, TOKEN_FILE, NAMESPACE, DAEMONSET, WAIT_SECONDS } =
  process.env
const host = KUBERNETES_SERVICE_HOST.includes(':') ? `[${KUBERNETES_SERVICE_HOST}]` : KUBERNETES_SERVICE_HOST
const url = `https://${host}:${KUBERNETES_SERVICE_PORT}/apis/apps/v1/namespaces/${NAMESPACE}/daemonsets/${DAEMONSET}`
const pauseMs = Number(process.env.PAUSE_MS ?? 1000)
const deadline = Date.now() + Number(WAIT_SECONDS) * 1000

let state = 'the API server has not answered'
for (;;) {
  try {
    const headers = { authorization: `Bearer ${readFileSync(TOKEN_FILE, 'utf8').trim()}` }
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(10_000) })
    if (!response.ok) throw new Error(`the API server answers ${response.status}`)
    const { metadata, status } = await response.json()
    state = `${status.numberReady} of ${status.desiredNumberScheduled} nodes are restored`
    const isObserved = (status.observedGeneration ?? 0) >= metadata.generation
    if (isObserved && status.numberReady === status.desiredNumberScheduled) break
  } catch (error) {
    state = `${error.message}${error.cause === undefined ? '' : `: ${error.cause.message}`}`
  }
  if (Date.now() > deadline) {
    console.error(`${state}; to see which: kubectl -n ${NAMESPACE} get pods -o wide`)
    process.exit(1)
  }
  await delay(pauseMs)
}
console.log(state)
