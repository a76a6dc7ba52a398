import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { DEFAULT_FLIGHT_POLICY } from '../../../src/fetch/flight/flight-policy.ts'
import { CHECKPOINT_INTERVAL_BYTES } from '../../../src/oci/checkpoints.ts'
import type { Contact, Instruction, Progress } from '../../../src/peers/wire/protocol/messages.ts'
import { Failure } from '../../../src/ports/failure.ts'
import type { VouchedIntake } from '../../../src/ports/source.ts'
import { checkpointsOf } from '../../../testkit/memory/digests.ts'
import { aborted, pour } from '../../../testkit/registries/scripted-source.ts'
import { contactOf, scriptedTransfer } from '../support/scripted-tracker.ts'

/** Both have the same name, so that only the id can tell them apart. */
const [LIAR, HONEST] = [contactOf('a', 'node'), contactOf('b', 'node')]

/** What a parent does when this node takes from it. */
type Give = (intake: VouchedIntake, signal: AbortSignal) => Promise<void>

/** Runs a transfer whose owner first sends `first`, and then what `replies` gives for each report. */
async function runTransfer(
  bytes: Uint8Array,
  parents: ReadonlyMap<Contact['id'], Give>,
  first: Instruction,
  replies: (report: Progress) => Instruction | undefined,
): Promise<{ reports: Progress[]; failure: Failure | undefined; taken: Contact['id'][] }> {
  const reports: Progress[] = []
  const taken: Contact['id'][] = []
  const { owner, ended } = scriptedTransfer({
    bytes,
    first,
    onProgress: (report) => {
      reports.push(report)
      const reply = replies(report)
      if (reply !== undefined) owner.instruct(reply)
    },
    sources: (transfer) => [transfer.beforeUpstream],
    policy: { ...DEFAULT_FLIGHT_POLICY, retryPauseMs: 1 },
    download: async ({ id, name }, intake, signal) => {
      taken.push(id)
      intake.setContributor({ id, name })
      intake.expect({ size: bytes.length, mediaType: undefined })
      await parents.get(id)?.(intake, signal)
    },
  })
  const failure = await ended()
  return { reports, failure, taken }
}

function corrupted(bytes: Uint8Array, from: number): Buffer {
  const wrong = Buffer.from(bytes)
  for (let at = from; at < wrong.length; at += 1) wrong[at] = (wrong[at] ?? 0) ^ 0x55
  return wrong
}

const blamedIn = (reports: readonly Progress[]) =>
  reports.flatMap((report) => (report.is === 'blamed' ? [report.parent] : []))

test('the parent that sent the wrong bytes is blamed, and not the one that is taken from when they are found', async () => {
  const bytes = randomBytes(12 * CHECKPOINT_INTERVAL_BYTES)
  const parents = new Map<Contact['id'], Give>([
    [
      LIAR.id,
      async (intake) => {
        await pour(intake, corrupted(bytes, 3 * CHECKPOINT_INTERVAL_BYTES), 6 * CHECKPOINT_INTERVAL_BYTES)
        throw new Failure('unavailable', 'the connection broke')
      },
    ],
    [
      HONEST.id,
      async (intake, signal) => {
        const isFirst = intake.position > 3 * CHECKPOINT_INTERVAL_BYTES
        await pour(intake, bytes, isFirst ? 8 * CHECKPOINT_INTERVAL_BYTES : bytes.length)
        if (!isFirst) return
        intake.vouch(0, checkpointsOf(bytes))
        await aborted(signal)
      },
    ],
  ])
  const { reports, failure, taken } = await runTransfer(
    bytes,
    parents,
    { is: 'take', parent: LIAR },
    (report) => (report.is === 'lost' ? { is: 'take', parent: HONEST } : undefined),
  )
  assert.equal(failure, undefined)
  assert.deepEqual(blamedIn(reports), [LIAR.id])
  assert.deepEqual(taken, [LIAR.id, HONEST.id, HONEST.id])
})

test('a parent whose bytes turn out to be wrong is left for the parent that the owner names', async () => {
  const bytes = randomBytes(12 * CHECKPOINT_INTERVAL_BYTES)
  const parents = new Map<Contact['id'], Give>([
    [
      LIAR.id,
      async (intake, signal) => {
        intake.vouch(0, checkpointsOf(bytes))
        await pour(intake, corrupted(bytes, 3 * CHECKPOINT_INTERVAL_BYTES), 6 * CHECKPOINT_INTERVAL_BYTES)
        await aborted(signal)
      },
    ],
    [HONEST.id, (intake) => pour(intake, bytes)],
  ])
  const { reports, failure, taken } = await runTransfer(
    bytes,
    parents,
    { is: 'take', parent: LIAR },
    (report) => (report.is === 'blamed' ? { is: 'take', parent: HONEST } : undefined),
  )
  assert.equal(failure, undefined)
  assert.deepEqual(blamedIn(reports), [LIAR.id])
  assert.deepEqual(taken, [LIAR.id, HONEST.id])
})

test('the only parent is blamed when the digest is wrong at the end', async () => {
  const bytes = randomBytes(2 * CHECKPOINT_INTERVAL_BYTES)
  const parents = new Map<Contact['id'], Give>([
    [LIAR.id, (intake) => pour(intake, corrupted(bytes, 2 * CHECKPOINT_INTERVAL_BYTES - 1))],
  ])
  const { reports, failure } = await runTransfer(
    bytes,
    parents,
    { is: 'take', parent: LIAR },
    () => undefined,
  )
  assert.equal(failure?.code, 'corrupt')
  assert.deepEqual(blamedIn(reports), [LIAR.id])
})
