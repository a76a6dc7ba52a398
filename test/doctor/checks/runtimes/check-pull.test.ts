import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type ServerHttp2Stream } from 'node:http2'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { checkPull } from '../../../../src/doctor/checks/runtimes/check-pull.ts'

const SOCKET = '/run/containerd/containerd.sock'

/** A host on which a server of CRI answers with the status of each method. */
async function startRuntime(t: TestContext, statuses: Readonly<Record<string, string>>) {
  const root = await mkdtemp(join(tmpdir(), 'leat-cri-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  await mkdir(dirname(join(root, SOCKET)), { recursive: true })
  const calls: { readonly method: string; readonly image: string }[] = []
  const server = createServer()
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    const method = String(headers[':path']).replace('/runtime.v1.ImageService/', '')
    const body: Buffer[] = []
    stream.on('data', (bytes: Buffer) => body.push(bytes))
    stream.on('end', () => {
      calls.push({ method, image: Buffer.concat(body).subarray(9).toString() })
      const status = statuses[method] ?? '0'
      stream.respond(
        { ':status': 200, 'grpc-status': status, 'grpc-message': 'not%20found: %zz' },
        { endStream: true },
      )
    })
  })
  await new Promise<void>((resolve) => server.listen(join(root, SOCKET), resolve))
  t.after(() => server.close())
  return { root, calls, check: () => checkPull('containerd', { root, signal: t.signal }) }
}

test('a runtime that pulls the check image asks the agent, and the image is removed', async (t) => {
  const { check, calls } = await startRuntime(t, {})
  const [finding] = await check()
  assert.equal(finding?.id, 'runtime-asks-agent')
  assert.deepEqual(
    calls.map(({ method }) => method),
    ['ListImages', 'PullImage', 'RemoveImage'],
  )
  assert.match(calls[1]?.image ?? '', /^leat\.local\/doctor:[0-9a-f]{16}$/)
  assert.equal(calls[2]?.image, calls[1]?.image)
})

test('a runtime that cannot pull it does not ask the agent', async (t) => {
  const { check } = await startRuntime(t, { PullImage: '5' })
  const [finding] = await check()
  assert.deepEqual([finding?.id, finding?.state], ['runtime-does-not-ask', 'problem'])
  assert.match(finding?.found ?? '', /: not%20found: %zz$/)
})

test('a containerd without CRI, such as that of Docker, is not checked', async (t) => {
  const { check } = await startRuntime(t, { ListImages: '12' })
  const [finding] = await check()
  assert.deepEqual([finding?.id, finding?.state], ['runtime-pull-unchecked', 'not-checked'])
})

test('a runtime whose socket is not there is not checked, and below another root it is not missed', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'leat-cri-'))
  t.after(() => rm(root, { recursive: true, force: true }))
  assert.deepEqual(await checkPull('containerd', { root, signal: t.signal }), [])
  assert.deepEqual(await checkPull('crio', { root, signal: t.signal }), [])
})
