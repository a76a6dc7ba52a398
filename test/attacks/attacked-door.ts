import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { subscribe } from '../../src/observe/events.ts'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import type { Limits } from '../../src/registry-api/limits.ts'
import type { AttackTarget, HoldOptions, Report } from '../../testkit/attacks/attack.ts'
import { wholeAnswer } from '../../testkit/attacks/honest.ts'
import { makeCertificates } from '../../testkit/certificates.ts'
import { pause, within } from '../../testkit/deadline.ts'
import {
  ALPINE,
  errorCodeOf,
  type ReceivedAnswer,
  type RequestOptions,
  requestHttp1,
  requestHttp2,
  startTestServer,
  type TestServer,
  waitUntilUnused,
} from '../registry-api/test-server.ts'

const MIB = 1024 * 1024
/** An honest client has the whole of its answer by then, or is told to come again: it has not been kept out. */
const HONEST_MS = 60_000
/** Longer than honest clients wait: no attack ends before it is told to, and no deadline of the server ends it. */
const HOLD_MS = 600_000
/** An attack that is not in place by then, because it is turned away or held up, goes on as it is. */
const IN_PLACE_MS = 30_000
/** When it is told to end, or ends by itself. */
const ATTACK_END_MS = 60_000
const LEFT_MS = 60_000

const DEADLINES = {
  headersMs: HOLD_MS,
  requestMs: HOLD_MS,
  silentMs: HOLD_MS,
  keepAliveMs: HOLD_MS,
  stallMs: HOLD_MS,
} satisfies Partial<Limits>

const LARGE = Buffer.alloc(8 * MIB, 'large')
const MANIFEST = Buffer.alloc(3_900_000, ' ')
const SMALL = Buffer.alloc(300_000, 'small')
const HONEST_MANIFEST = Buffer.from('{"honest":true}')

export interface AttackedDoor extends TestServer, AttackTarget {
  /** What the server has turned away so far, by its reason. */
  readonly rejected: ReadonlyMap<string, number>
  readonly honest: { readonly blob: string; readonly manifest: string }
}

const TRANSPORTS = ['plain', 'TLS'] as const

/** One test over plain TCP and one over TLS. */
export function testBoth(
  name: string,
  limits: Partial<Limits>,
  body: (door: AttackedDoor) => Promise<void>,
): void {
  for (const transport of TRANSPORTS) {
    test(`${name} (${transport})`, { timeout: 240_000 }, async (t) => {
      await body(await openAttackedDoor(t, { transport, limits }))
    })
  }
}

async function openAttackedDoor(
  t: TestContext,
  { transport, limits }: { transport: (typeof TRANSPORTS)[number]; limits: Partial<Limits> },
): Promise<AttackedDoor> {
  const certificates = transport === 'TLS' ? makeCertificates() : undefined
  const tls = certificates === undefined ? undefined : await written(t, certificates)
  const door = await startTestServer(t, {
    limits: { ...DEADLINES, ...limits },
    ...(tls === undefined ? {} : { tls }),
  })
  const { resolver } = door
  return {
    ...door,
    rejected: countRejections(t),
    ca: certificates?.ca,
    blob: `/v2/alpine/blobs/${resolver.putBlob(ALPINE, LARGE)}`,
    manifest: `/v2/alpine/manifests/${resolver.putManifest(ALPINE, MANIFEST, OCI_MANIFEST)}`,
    honest: {
      blob: `/v2/alpine/blobs/${resolver.putBlob(ALPINE, SMALL)}`,
      manifest: `/v2/alpine/manifests/${resolver.putManifest(ALPINE, HONEST_MANIFEST, OCI_MANIFEST)}`,
    },
  }
}

/** Told of when the test is over. */
function countRejections(t: TestContext): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  const end = subscribe('http.rejected', ({ reason }) => counts.set(reason, (counts.get(reason) ?? 0) + 1))
  t.after(() => {
    end()
    for (const [what, count] of counts) t.diagnostic(`rejected: ${count} times ${what}`)
  })
  return counts
}

async function written(
  t: TestContext,
  { cert, key }: { cert: string; key: string },
): Promise<{ certFile: string; keyFile: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-attacked-'))
  t.after(() => rm(folder, { recursive: true }))
  const files = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') }
  await writeFile(files.certFile, cert)
  await writeFile(files.keyFile, key)
  return files
}

type Attack = (options: HoldOptions) => Promise<Report>

/** Attacks, and once that is in place does `work`; then the attacker leaves. */
async function during(
  attack: Attack,
  work: (attacking: Promise<Report>) => Promise<unknown>,
): Promise<Report> {
  const over = new AbortController()
  const inPlace = new AbortController()
  const attacking = attack({ signal: over.signal, holdMs: HOLD_MS, onInPlace: () => inPlace.abort() })
  try {
    await Promise.race([pause(IN_PLACE_MS, inPlace.signal), attacking])
    await work(attacking)
  } finally {
    over.abort()
    await within(ATTACK_END_MS, 'the end of the attack', attacking)
  }
  return attacking
}

/** Everything is served again, and nothing of the server is in use. */
async function expectRecovered(door: AttackedDoor): Promise<void> {
  await waitUntilUnused(door.server)
  await pull(door, [200])
  await waitUntilUnused(door.server)
  await within(LEFT_MS, 'the closing of all contents', door.resolver.quiet())
}

/**
 * Under an attack that is held, or that lasts for a moment, honest pulls over both protocols are answered in time, by the
 * right bytes or by a 503; everything is as before when the attacker has left.
 */
export async function withstands(door: AttackedDoor, attack: Attack, { pulls = 1 } = {}): Promise<void> {
  await during(attack, () => Promise.all(Array.from({ length: pulls }, () => pull(door, [200, 503]))))
  await expectRecovered(door)
}

/** The same for a flood, which ends by itself: pulls go on for as long. */
export async function withstandsFlood(door: AttackedDoor, attack: Attack): Promise<Report> {
  const report = await during(attack, async (attacking) => {
    let isOver = false
    const over = attacking.finally(() => {
      isOver = true
    })
    do await pull(door, [200, 503])
    while (!isOver)
    await over
  })
  await expectRecovered(door)
  return report
}

async function pull(door: AttackedDoor, allowed: readonly number[]): Promise<void> {
  const { honest } = door
  await Promise.all([
    answered(door, requestHttp1, honest.manifest, HONEST_MANIFEST, allowed),
    answered(door, requestHttp1, honest.blob, SMALL, allowed),
    answered(door, requestHttp2, honest.manifest, HONEST_MANIFEST, allowed),
    answered(door, requestHttp2, honest.blob, SMALL, allowed),
  ])
}

async function answered(
  { port, ca }: AttackedDoor,
  by: (port: number, path: string, options: RequestOptions) => Promise<ReceivedAnswer>,
  path: string,
  bytes: Buffer,
  allowed: readonly number[],
): Promise<void> {
  const over = new AbortController()
  const what = `${by === requestHttp1 ? 'HTTP/1.1' : 'HTTP/2'} ${path.slice(0, 25)}`
  try {
    const got = await within(
      HONEST_MS,
      what,
      wholeAnswer(() => by(port, path, { ca, signal: over.signal })),
    )
    assert.ok(allowed.includes(got.status), `${what}: ${got.status}`)
    if (got.status === 200) assert.ok(got.body.equals(bytes), `${what}: ${got.body.length} bytes, or others`)
    else assert.equal(errorCodeOf(got), 'UNAVAILABLE', what)
  } finally {
    over.abort()
  }
}
