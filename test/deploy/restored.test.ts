import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeCertificates } from '../../testkit/certificates.ts'
import { tryRun } from '../../testkit/programs.ts'
import { DEPLOY } from './support/manifests.ts'

interface DaemonSetStatus {
  readonly observedGeneration?: number
  readonly numberReady: number
  readonly desiredNumberScheduled: number
}

test('an uninstall waits until every node is restored', async (t) => {
  const steps: readonly (DaemonSetStatus | number)[] = [
    { numberReady: 0, desiredNumberScheduled: 0 },
    503,
    { observedGeneration: 2, numberReady: 1, desiredNumberScheduled: 2 },
    { observedGeneration: 2, numberReady: 2, desiredNumberScheduled: 2 },
  ]
  const { ended, requests } = await runScript(t, steps, '600')
  assert.equal(ended.code, 0, ended.stderr)
  assert.match(ended.stdout, /2 of 2 nodes are restored/)
  assert.deepEqual(
    requests,
    Array(steps.length).fill('/apis/apps/v1/namespaces/ns/daemonsets/leat-restore Bearer token'),
  )
})

test('an uninstall that times out reports how many nodes are restored', async (t) => {
  const failed = { message: 'one\nagent: cannot write /etc/containerd\n' }
  const pods = [
    {
      spec: { nodeName: 'a' },
      status: { conditions: [{ type: 'Ready', status: 'True' }], phase: 'Running' },
    },
    {
      spec: { nodeName: 'b' },
      status: {
        phase: 'Pending',
        initContainerStatuses: [
          { state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: { terminated: failed } },
        ],
      },
    },
    { spec: {}, status: { phase: 'Pending' } },
  ]
  const { ended, requests } = await runScript(
    t,
    [{ observedGeneration: 2, numberReady: 1, desiredNumberScheduled: 3 }],
    '0',
    pods,
  )
  assert.equal(ended.code, 1)
  assert.match(
    ended.stderr,
    /^1 of 3 nodes are restored\. Not restored: b \(agent: cannot write \/etc\/containerd\)\. Not restored: no node yet \(Pending\)\.\n/,
  )
  assert.match(requests.at(-1) ?? '', /^\/api\/v1\/namespaces\/ns\/pods\?labelSelector=a%3Db Bearer token$/)
})

test('an uninstall that times out ends even if the API server does not name the pods', async (t) => {
  const { ended } = await runScript(
    t,
    [{ observedGeneration: 2, numberReady: 1, desiredNumberScheduled: 3 }, 403],
    '0',
  )
  assert.equal(ended.code, 1)
  assert.match(
    ended.stderr,
    /^1 of 3 nodes are restored\. Which nodes are not cannot be told: the API server answers 403/,
  )
})

/** Runs the script of the chart with an API server that gives these answers, and then repeats the last one. */
async function runScript(
  t: TestContext,
  steps: readonly (DaemonSetStatus | number)[],
  seconds: string,
  pods?: readonly unknown[],
) {
  const folder = await mkdtemp(join(tmpdir(), 'leat-restored-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const { ca, cert, key } = makeCertificates()
  await writeFile(join(folder, 'ca.crt'), ca)
  await writeFile(join(folder, 'token'), 'token\n')
  const requests: string[] = []
  const server = createServer({ cert, key }, (request, response) => {
    const step = steps[Math.min(requests.length, steps.length - 1)]
    requests.push(`${request.url} ${request.headers.authorization}`)
    if (pods !== undefined && request.url?.startsWith('/api/v1/'))
      return response.end(JSON.stringify({ items: pods }))
    if (typeof step === 'number') return response.writeHead(step).end()
    response.end(JSON.stringify({ metadata: { generation: 2 }, status: step }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const script = await readFile(join(DEPLOY, 'chart/files/wait-until-restored.mjs'), 'utf8')
    const ended = await tryRun(process.execPath, ['--input-type=module', '-e', script], {
      env: {
        KUBERNETES_SERVICE_HOST: '127.0.0.1',
        KUBERNETES_SERVICE_PORT: String((server.address() as AddressInfo).port),
        NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt'),
        TOKEN_FILE: join(folder, 'token'),
        NAMESPACE: 'ns',
        DAEMONSET: 'leat-restore',
        SELECTOR: 'a=b',
        WAIT_SECONDS: seconds,
        PAUSE_MS: '5',
      },
    })
    return { ended, requests }
  } finally {
    server.close()
    server.closeAllConnections()
  }
}
