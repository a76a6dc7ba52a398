import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { subscribe } from '../../src/observe/events.ts'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import type { Limits } from '../../src/registry-api/limits.ts'
import type { AttackReport, AttackTarget, HoldOptions } from '../../testkit/attacks/attack.ts'
import { requestUntilWhole } from '../../testkit/attacks/honest-client.ts'
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
/** Within this time an honest client gets its whole answer or a 503. */
const HONEST_MS = 60_000
/** Longer than honest clients wait, so that neither the attack nor a deadline of the server ends it during a test. */
const HOLD_MS = 600_000
/** An attack that is not established by then, because the server refuses or delays it, is tested as it is. */
const ESTABLISH_MS = 30_000
const ATTACK_END_MS = 60_000
const RECOVERY_MS = 60_000

const LONG_DEADLINES = {
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

export interface AttackedServer extends TestServer, AttackTarget {
  /** How many clients the server has rejected, by reason. */
  readonly rejections: ReadonlyMap<string, number>
  readonly honest: { readonly blob: string; readonly manifest: string }
}

const TRANSPORTS = ['plain', 'TLS'] as const

/** Defines one test over plain TCP and one over TLS. */
export function testPlainAndTls(
  name: string,
  limits: Partial<Limits>,
  body: (server: AttackedServer) => Promise<void>,
): void {
  for (const transport of TRANSPORTS) {
    test(`${name} (${transport})`, { timeout: 240_000 }, async (t) => {
      await body(await startAttackedServer(t, { transport, limits }))
    })
  }
}

async function startAttackedServer(
  t: TestContext,
  { transport, limits }: { transport: (typeof TRANSPORTS)[number]; limits: Partial<Limits> },
): Promise<AttackedServer> {
  const certificates = transport === 'TLS' ? makeCertificates() : undefined
  const tls = certificates === undefined ? undefined : await writeCertificates(t, certificates)
  const server = await startTestServer(t, {
    limits: { ...LONG_DEADLINES, ...limits },
    ...(tls === undefined ? {} : { tls }),
  })
  const { resolver } = server
  return {
    ...server,
    rejections: countRejections(t),
    ca: certificates?.ca,
    blob: `/v2/alpine/blobs/${resolver.putBlob(ALPINE, LARGE)}`,
    manifest: `/v2/alpine/manifests/${resolver.putManifest(ALPINE, MANIFEST, OCI_MANIFEST)}`,
    honest: {
      blob: `/v2/alpine/blobs/${resolver.putBlob(ALPINE, SMALL)}`,
      manifest: `/v2/alpine/manifests/${resolver.putManifest(ALPINE, HONEST_MANIFEST, OCI_MANIFEST)}`,
    },
  }
}

/** The counts are printed at the end of the test. */
function countRejections(t: TestContext): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  const unsubscribe = subscribe('http.rejected', ({ reason }) =>
    counts.set(reason, (counts.get(reason) ?? 0) + 1),
  )
  t.after(() => {
    unsubscribe()
    for (const [reason, count] of counts) t.diagnostic(`rejected: ${count} for ${reason}`)
  })
  return counts
}

async function writeCertificates(
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

type RunAttack = (options: HoldOptions) => Promise<AttackReport>

/** Starts the attack, calls `work` when it is established, then ends the attack. */
async function runDuring(
  attack: RunAttack,
  work: (report: Promise<AttackReport>) => Promise<unknown>,
): Promise<AttackReport> {
  const end = new AbortController()
  const established = new AbortController()
  const report = attack({ signal: end.signal, holdMs: HOLD_MS, onEstablished: () => established.abort() })
  try {
    await Promise.race([pause(ESTABLISH_MS, established.signal), report])
    await work(report)
  } finally {
    end.abort()
    await within(ATTACK_END_MS, 'the end of the attack', report)
  }
  return report
}

/** Asserts that everything is served again and that no limited resource is in use. */
async function expectRecovered(server: AttackedServer): Promise<void> {
  await waitUntilUnused(server.server)
  await pull(server, [200])
  await waitUntilUnused(server.server)
  await within(RECOVERY_MS, 'all contents to be closed', server.resolver.allClosed())
}

/**
 * Asserts that during the attack honest requests over both protocols get the right bytes or a 503 in time, and that the
 * server recovers after it.
 */
export async function assertWithstands(
  server: AttackedServer,
  attack: RunAttack,
  { pulls = 1 } = {},
): Promise<void> {
  await runDuring(attack, () => Promise.all(Array.from({ length: pulls }, () => pull(server, [200, 503]))))
  await expectRecovered(server)
}

/** The same for a flood, which ends by itself; honest requests are repeated until then. */
export async function assertWithstandsFlood(
  server: AttackedServer,
  attack: RunAttack,
): Promise<AttackReport> {
  const report = await runDuring(attack, async (running) => {
    let hasEnded = false
    const ended = running.finally(() => {
      hasEnded = true
    })
    do await pull(server, [200, 503])
    while (!hasEnded)
    await ended
  })
  await expectRecovered(server)
  return report
}

async function pull(server: AttackedServer, allowed: readonly number[]): Promise<void> {
  const { honest } = server
  await Promise.all([
    assertAnswered(server, requestHttp1, honest.manifest, HONEST_MANIFEST, allowed),
    assertAnswered(server, requestHttp1, honest.blob, SMALL, allowed),
    assertAnswered(server, requestHttp2, honest.manifest, HONEST_MANIFEST, allowed),
    assertAnswered(server, requestHttp2, honest.blob, SMALL, allowed),
  ])
}

async function assertAnswered(
  { port, ca }: AttackedServer,
  request: (port: number, path: string, options: RequestOptions) => Promise<ReceivedAnswer>,
  path: string,
  bytes: Buffer,
  allowed: readonly number[],
): Promise<void> {
  const abort = new AbortController()
  const what = `${request === requestHttp1 ? 'HTTP/1.1' : 'HTTP/2'} ${path.slice(0, 25)}`
  try {
    const got = await within(
      HONEST_MS,
      what,
      requestUntilWhole(() => request(port, path, { ca, signal: abort.signal })),
    )
    assert.ok(allowed.includes(got.status), `${what}: ${got.status}`)
    if (got.status === 200)
      assert.ok(got.body.equals(bytes), `${what}: ${got.body.length} bytes, which may be wrong`)
    else assert.equal(errorCodeOf(got), 'UNAVAILABLE', what)
  } finally {
    abort.abort()
  }
}
