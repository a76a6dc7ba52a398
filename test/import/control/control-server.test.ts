import assert from 'node:assert/strict'
import { access, mkdir, stat, writeFile } from 'node:fs/promises'
import { type ClientRequest, request } from 'node:http'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ControlClient } from '../../../src/import/control/control-client.ts'
import { createControlServer } from '../../../src/import/control/control-server.ts'
import { controlSocket } from '../../../src/import/control/socket-path.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { fileAt } from '../../../src/sources/files/file-tree.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { buildImage, buildIndex } from '../../../testkit/registries/image.ts'
import { layoutFiles, partsOf, writeFiles } from '../../../testkit/registries/image-folders.ts'
import { asDigest, hub, type ImportLab, runInto, startLab } from '../import-lab.ts'

const signal = new AbortController().signal
const app = buildImage('app', { layerSizes: [3_000_000, 100] })
const list = buildIndex('list')

async function startServer(t: TestContext) {
  const lab = await startLab(t)
  const path = controlSocket(join(lab.folder, 'data'))
  const server = createControlServer(path, lab.target)
  addCleanup(t, () => server.stop())
  assert.equal(await server.start(), undefined)
  const client = (await ControlClient.connect(path)) ?? assert.fail('the server does not listen')
  return { lab, path, server, client }
}

function send(path: string, method: string, route: string, headers = {}): ClientRequest {
  return request({ socketPath: path, method, path: route, headers, agent: false })
}

function statusOf(outgoing: ClientRequest, body?: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    outgoing.end(body)
  })
}

async function importLayout(lab: ImportLab, client: ControlClient) {
  const rest = join(lab.folder, 'layout')
  await writeFiles(rest, layoutFiles({ 'acme/app:v1': app, 'acme/list:v1': list }))
  return runInto(client, { transport: 'oci', rest }, { pin: true })
}

test('images are imported through the socket', async (t) => {
  const { lab, client } = await startServer(t)
  assert.equal((await importLayout(lab, client)).done.failed, 0)
  assert.equal(await lab.tagOf(hub('acme/app'), 'v1'), app.manifest.digest)
  for (const { digest } of [...partsOf(app), ...partsOf(list)]) assert.ok(await lab.isStored(digest))
  assert.ok(await lab.store.isPinned(asDigest(app.manifest.digest)))
  const again = await importLayout(lab, client)
  assert.equal(again.done.hereBytes, again.done.bytes)
})

test('the agent reads a file itself if it sees the same one, and tells its right digest', async (t) => {
  const { lab, client } = await startServer(t)
  const path = join(lab.folder, 'layer')
  const bytes = Buffer.alloc(300_000, 'a layer ')
  await writeFile(path, bytes)
  const file = (await fileAt(path)) ?? assert.fail('no file')
  const content = {
    kind: 'blob',
    repository: hub('acme/app'),
    digest: digestOf(bytes),
    algorithm: 'sha256',
    size: bytes.length,
    mediaType: undefined,
    origin: 'a test',
  } as const
  assert.equal(await client.copy(content, { ...file, version: 'another' }, { signal }), false)
  assert.equal(await client.copy(content, { ...file, path: `${path}-none` }, { signal }), false)
  assert.equal(await lab.isStored(content.digest), false)
  const wrong = { ...content, digest: digestOf(Buffer.from('another')) }
  await assert.rejects(client.copy(wrong, file, { signal }), { code: 'corrupt' })
  assert.equal(await client.copy(content, file, { signal }), true)
  assert.ok(await lab.isStored(content.digest))
})

test('a file is moved through the socket, unless it cannot be or is wrong', async (t) => {
  const { lab, client } = await startServer(t)
  const layer = app.blobs[1] ?? assert.fail('the image has layers')
  const path = join(lab.folder, 'layer')
  await writeFile(path, layer.bytes)
  const file = { path, digest: asDigest(layer.digest), repository: hub('acme/app'), origin: 'a test' }
  assert.equal(await client.move({ ...file, path: `${path}-gone` }, { signal }), false)
  const wrong = { ...file, digest: asDigest(app.manifest.digest) }
  await assert.rejects(client.move(wrong, { signal }), { code: 'corrupt' })
  await access(path)
  assert.equal(await client.move(file, { signal }), true)
  await assert.rejects(access(path))
  assert.ok(await lab.isStored(layer.digest))
})

test('only the user of the agent can open the socket', async (t) => {
  const { path } = await startServer(t)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal((await stat(join(path, '..'))).mode & 0o777, 0o700)
})

test('the socket is gone after the stop, and one that a crash has left is replaced', async (t) => {
  const { lab, path, server } = await startServer(t)
  await server.stop()
  await assert.rejects(access(path))
  assert.equal(await ControlClient.connect(path), undefined)
  await writeFile(path, 'left over')
  const next = createControlServer(path, lab.target)
  assert.equal(await next.start(), undefined)
  assert.ok(await ControlClient.connect(path))
  await next.stop()
})

test('an agent starts without the socket where none can be made, and says why', async (t) => {
  const lab = await startLab(t)
  const long = join(lab.folder, 'x'.repeat(100), 'control.sock')
  assert.match((await createControlServer(long, lab.target).start()) ?? '', /too long for a socket/)
  await writeFile(join(lab.folder, 'file'), '')
  const none = createControlServer(join(lab.folder, 'file', 'control.sock'), lab.target)
  assert.match((await none.start()) ?? '', /no socket can be made/)
  await none.stop()
})

test('a content with another digest is refused, and its digest is told', async (t) => {
  const { client } = await startServer(t)
  const digest = asDigest(`sha256:${'0'.repeat(64)}`)
  const common = { kind: 'blob', repository: hub('a/b'), mediaType: undefined, origin: 'a test' } as const
  const bytes = Buffer.alloc(3_000_000)
  let at = 0
  const read = async (target: Uint8Array) => {
    const count = Math.min(target.length, bytes.length - at)
    at += count
    return count
  }
  const content = { ...common, digest, algorithm: 'sha256', size: bytes.length } as const
  await assert.rejects(client.put(content, read, { signal }), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'corrupt')
    return true
  })
})

test('what fails while a content is read, or is interrupted, leaves nothing behind', async (t) => {
  const { lab, client } = await startServer(t)
  const digest = asDigest(app.blobs[1]?.digest ?? '')
  const common = { kind: 'blob', repository: hub('a/b'), mediaType: undefined, origin: 'a test' } as const
  const content = { ...common, digest, algorithm: 'sha256', size: 3_000_000 } as const
  let pieces = 0
  const failing = async (target: Uint8Array) => {
    pieces += 1
    if (pieces > 3) throw new Error('the file is gone')
    return target.length
  }
  await assert.rejects(client.put(content, failing, { signal }), /the file is gone/)
  const stopping = new AbortController()
  const stalled = async (target: Uint8Array) => {
    if (pieces++ > 6) stopping.abort()
    return target.length
  }
  const huge = { ...content, size: 10 ** 12 }
  await assert.rejects(client.put(huge, stalled, { signal: stopping.signal }), { name: 'AbortError' })
  assert.equal(await lab.isStored(digest), false)
  assert.equal((await importLayout(lab, client)).done.failed, 0)
})

test('malformed and unknown requests are refused', async (t) => {
  const { path, client } = await startServer(t)
  assert.equal(await statusOf(send(path, 'POST', '/v1/stored'), '{"digests":["x"]}'), 400)
  assert.equal(await statusOf(send(path, 'POST', '/v1/stored'), 'x'), 400)
  assert.equal(await statusOf(send(path, 'POST', '/v1/image'), '{}'), 400)
  assert.equal(await statusOf(send(path, 'PUT', '/v1/content', { 'leat-content': 'x' }), 'x'), 400)
  assert.equal(await statusOf(send(path, 'GET', '/v1/manifest?digest=../../x')), 404)
  assert.equal(await statusOf(send(path, 'GET', '/api/v1/status')), 400)
  const raw = connect(path)
  raw.on('error', () => {})
  raw.end('nonsense\r\n\r\n')
  assert.equal(await client.manifest(asDigest(`sha256:${'0'.repeat(64)}`)), undefined)
})

test('a program at the socket that is no agent is recognized', async (t) => {
  const lab = await startLab(t)
  await mkdir(join(lab.folder, 'other'))
  const path = join(lab.folder, 'other', 'control.sock')
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}')
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  addCleanup(t, () => server.close())
  await assert.rejects(ControlClient.connect(path), /another version/)
})
