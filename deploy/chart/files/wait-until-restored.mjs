// Waits until the settings of every node's runtime are restored: until each pod of the DaemonSet is ready.
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const {
  KUBERNETES_SERVICE_HOST,
  KUBERNETES_SERVICE_PORT,
  TOKEN_FILE,
  NAMESPACE,
  DAEMONSET,
  SELECTOR,
  WAIT_SECONDS,
} = process.env
const host = KUBERNETES_SERVICE_HOST.includes(':') ? `[${KUBERNETES_SERVICE_HOST}]` : KUBERNETES_SERVICE_HOST
const server = `https://${host}:${KUBERNETES_SERVICE_PORT}`
const pauseMs = Number(process.env.PAUSE_MS ?? 1000)
const deadline = Date.now() + Number(WAIT_SECONDS) * 1000

let state = 'the API server has not answered'
for (;;) {
  try {
    const { metadata, status } = await ask(`apis/apps/v1/namespaces/${NAMESPACE}/daemonsets/${DAEMONSET}`)
    state = `${status.numberReady} of ${status.desiredNumberScheduled} nodes are restored`
    const isObserved = (status.observedGeneration ?? 0) >= metadata.generation
    if (isObserved && status.numberReady === status.desiredNumberScheduled) break
  } catch (error) {
    state = `${error.message}${error.cause === undefined ? '' : `: ${error.cause.message}`}`
  }
  if (Date.now() > deadline) {
    console.error(`${state}. ${await unrestoredNodes()}`)
    console.error(
      'Helm removes the pods that restore the settings now. Such a node pulls all the same, from the registry. To restore it, install and uninstall the chart again, or run agent runtime uninstall there.',
    )
    process.exit(1)
  }
  await delay(pauseMs)
}
console.log(state)

async function ask(path) {
  const headers = { authorization: `Bearer ${readFileSync(TOKEN_FILE, 'utf8').trim()}` }
  const response = await fetch(`${server}/${path}`, { headers, signal: AbortSignal.timeout(10_000) })
  if (!response.ok) throw new Error(`the API server answers ${response.status}`)
  return response.json()
}

// Names each node whose pod is not ready, with what its container says.
async function unrestoredNodes() {
  try {
    const path = `api/v1/namespaces/${NAMESPACE}/pods?labelSelector=${encodeURIComponent(SELECTOR)}`
    const { items } = await ask(path)
    const unready = items.filter(
      ({ status }) => !status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
    )
    return unready
      .map((pod) => `Not restored: ${pod.spec.nodeName ?? 'no node yet'} (${reasonOf(pod)}).`)
      .join(' ')
  } catch (error) {
    return `Which nodes are not cannot be told: ${error.message}.`
  }
}

function reasonOf({ status }) {
  const [container] = status.initContainerStatuses ?? []
  const ended = container?.state?.terminated ?? container?.lastState?.terminated
  const text = ended?.message ?? container?.state?.waiting?.reason ?? status.phase
  return text.trim().split('\n').at(-1)
}
