import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts'
import { within } from '../../../testkit/deadline.ts'
import { fc } from '../../../testkit/property-runs.ts'
import { statusOf } from '../../../testkit/raw-http/hpack.ts'
import { type Answer, answersIn } from '../../../testkit/raw-http/http1-answers.ts'
import { FLAG, TYPE } from '../../../testkit/raw-http/http2-frames.ts'
import { RawHttp1 } from '../../../testkit/raw-http/raw-http1.ts'
import { RawHttp2 } from '../../../testkit/raw-http/raw-http2.ts'
import { numberFromEnvironment, seededRandom } from '../../../testkit/seeded-random.ts'
import { ALPINE, requestHttp1, requestHttp2, startTestServer } from '../../registry-api/test-server.ts'
import { frameSequences } from './frame-sequences.ts'
import { conversations, type Names } from './request-texts.ts'

const SECONDS = numberFromEnvironment('LEAT_FUZZ_SECONDS') ?? 12
/** Only a request that hangs takes so long, however busy the machine is. */
const HANG_MS = 60_000
/** Later answers are not waited for, because the server may wait for more frames. */
const SETTLE_MS = 100
const ALLOWED = [200, 206, 304, 400, 404, 405, 412, 413, 416, 417, 431, 501, 502, 503, 505]
/** Longer than a busy machine stalls, so that no valid request is taken for a slow one. */
const LIMITS = { headersMs: 20_000, requestMs: 20_000, silentMs: 20_000, keepAliveMs: 20_000 }

/** Some answers take more than one write. */
const BLOB = Buffer.concat(
  Array.from({ length: 5000 }, (_, index) => createHash('sha512').update(`${index}`).digest()),
)
const MANIFEST = Buffer.from(JSON.stringify({ schemaVersion: 2, filling: 'f'.repeat(2000) }))

const seed = seededRandom('fuzz').seed | 0

test(`random requests over HTTP/1.1 get only correct answers for ${SECONDS / 2} s`, {
  timeout: (SECONDS + 180) * 1000,
}, async (t) => {
  const { port, names, known } = await openKnown(t)
  const cuts = fc.array(fc.nat(2000), { maxLength: 5 })
  let runs = 0
  let answers = 0
  await runProperty(
    fc.asyncProperty(conversations(names), cuts, async (text, offsets) => {
      runs += 1
      const received = await exchangeHttp1(port, text, offsets)
      for (const answer of answersIn(received, { mayLackBodies: text.includes('HEAD') })) {
        answers += 1
        checkAnswer(answer, known)
      }
      await assertServes(port, names)
    }),
  )
  t.diagnostic(`${runs} connections, ${answers} answers`)
  assert.ok(answers > 0)
})

test(`random frames over HTTP/2 get only correct answers for ${SECONDS / 2} s`, {
  timeout: (SECONDS + 180) * 1000,
}, async (t) => {
  const { port, names, known } = await openKnown(t)
  let runs = 0
  let answers = 0
  await runProperty(
    fc.asyncProperty(frameSequences(names), async (frames) => {
      runs += 1
      answers += await exchangeHttp2(port, frames, known)
      await assertServes(port, names)
    }),
  )
  t.diagnostic(`${runs} connections, ${answers} answers`)
  assert.ok(answers > 0)
})

async function openKnown(
  t: TestContext,
): Promise<{ port: number; names: Names; known: ReadonlyMap<string, Buffer> }> {
  const { port, resolver } = await startTestServer(t, { limits: LIMITS })
  const blob = resolver.putBlob(ALPINE, BLOB)
  const manifest = resolver.putManifest(ALPINE, MANIFEST, OCI_MANIFEST, 'latest')
  const known = new Map([
    [blob as string, BLOB],
    [manifest as string, MANIFEST],
  ])
  const names: Names = {
    blob: `/v2/alpine/blobs/${blob}`,
    manifest: `/v2/alpine/manifests/${manifest}`,
    digests: [blob, manifest],
  }
  return { port, names, known }
}

async function runProperty(property: fc.IAsyncProperty<never> | fc.IRawProperty<unknown>): Promise<void> {
  await fc.assert(property, {
    seed,
    numRuns: 1_000_000,
    interruptAfterTimeLimit: (SECONDS * 1000) / 2,
    markInterruptAsFailure: false,
  })
}

/** Sends the text in pieces and returns all bytes that are received. */
async function exchangeHttp1(port: number, text: string, offsets: readonly number[]): Promise<Buffer> {
  const client = await RawHttp1.open({ port }, { keep: true })
  const { socket } = client
  try {
    const cuts = [...new Set([0, ...offsets.map((offset) => offset % text.length), text.length])]
    cuts.sort((a, b) => a - b)
    for (let i = 1; i < cuts.length; i += 1) await client.send(text.slice(cuts[i - 1], cuts[i]))
    socket.halfClose()
    await within(HANG_MS, 'the end of the answers', socket.ended)
    return client.receivedBytes
  } finally {
    socket.close()
  }
}

function checkAnswer({ status, headers, body, complete }: Answer, known: ReadonlyMap<string, Buffer>): void {
  assert.ok(ALLOWED.includes(status), `status ${status}`)
  if (status >= 400) {
    assert.equal(headers.get('content-type'), 'application/json')
    if (complete && body.length > 0) checkError(body)
    return
  }
  const bytes = known.get(headers.get('docker-content-digest') ?? '')
  if (bytes === undefined || body.length === 0 || status === 304) return
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get('content-range') ?? '')
  const boundary = /^multipart\/byteranges; boundary=(.*)$/.exec(headers.get('content-type') ?? '')?.[1]
  if (status === 200) assert.ok(body.equals(bytes.subarray(0, complete ? undefined : body.length)))
  else if (range !== null) checkPart(body, range, bytes, { complete })
  else if (complete) checkParts(body, boundary ?? assert.fail('206 with no range'), bytes)
}

function checkError(body: Buffer): void {
  const { errors } = JSON.parse(body.toString()) as { errors: { code: string; message: string }[] }
  assert.equal(errors.length, 1)
  assert.match(errors[0]?.code ?? '', /^[A-Z_]+$/)
  assert.doesNotMatch(errors[0]?.message ?? 'HPE_', /HPE_|node:|\n {4}at /)
}

function checkPart(
  body: Buffer,
  [, start, last, size]: RegExpExecArray,
  bytes: Buffer,
  { complete }: { complete: boolean },
): void {
  assert.equal(Number(size), bytes.length)
  const wanted = bytes.subarray(Number(start), Number(last) + 1)
  assert.ok(body.equals(complete ? wanted : wanted.subarray(0, body.length)), 'other bytes')
}

function checkParts(body: Buffer, boundary: string, bytes: Buffer): void {
  let at = 0
  for (let parts = 0; ; parts += 1) {
    const opening = `${parts === 0 ? '' : '\r\n'}--${boundary}`
    assert.equal(body.toString('latin1', at, at + opening.length), opening)
    at += opening.length
    if (body.toString('latin1', at) === '--\r\n') return
    const end = body.indexOf('\r\n\r\n', at, 'latin1') + 4
    const range = /Content-Range: bytes (\d+)-(\d+)\/(\d+)/.exec(body.toString('latin1', at, end))
    assert.ok(range !== null, 'a part without a range')
    const next = end + Number(range[2]) + 1 - Number(range[1])
    checkPart(body.subarray(end, next), range, bytes, { complete: true })
    at = next
  }
}

/** Sends the frames, checks the answers, and returns how many there were. */
async function exchangeHttp2(
  port: number,
  frames: readonly Buffer[],
  known: ReadonlyMap<string, Buffer>,
): Promise<number> {
  const client = await RawHttp2.open({ port })
  const { socket } = client
  const bodies = new Map<number, { status: number; chunks: Buffer[]; whole: boolean }>()
  const problems: string[] = []
  client.onFrame(({ type, stream, flags, payload }) => {
    if (type === TYPE.headers) {
      const status = statusOf(payload)
      // The answer to a request with `Expect`.
      if (status === 100) return
      // The status is unknown if a frame has changed the size of the server's header table.
      if (status !== undefined && !ALLOWED.includes(status)) problems.push(`status ${status}`)
      bodies.set(stream, { status: status ?? 0, chunks: [], whole: (flags & FLAG.endStream) !== 0 })
    } else if (type === TYPE.data) {
      const body = bodies.get(stream)
      if (body === undefined) problems.push('a body before its headers')
      body?.chunks.push(Buffer.from(payload))
      if (body !== undefined) body.whole = (flags & FLAG.endStream) !== 0
    }
  })
  try {
    for (const bytes of frames) void socket.send(bytes)
    await within(SETTLE_MS, 'the answer to a PING', client.settled()).catch(() => {})
  } finally {
    socket.close()
  }
  assert.deepEqual(problems, [])
  const contents = [...known.values()]
  for (const { status, chunks, whole } of bodies.values()) {
    const body = Buffer.concat(chunks)
    if (body.length === 0 || !whole) continue
    if (status >= 400) checkError(body)
    // The body of a 200 is a known content, or JSON of the registry.
    else if (status === 200 && body[0] !== 0x7b) assert.ok(contents.some((content) => content.equals(body)))
  }
  return bodies.size
}

async function assertServes(port: number, { manifest }: Names): Promise<void> {
  for (const by of [requestHttp1, requestHttp2]) {
    const got = await within(HANG_MS, 'a valid request', by(port, manifest))
    assert.equal(got.status, 200)
    assert.ok(got.body.equals(MANIFEST))
  }
}
