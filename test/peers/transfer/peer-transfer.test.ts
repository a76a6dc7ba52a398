import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { DEFAULT_FLIGHT_POLICY } from '../../../src/fetch/flight/flight.ts'
import { CHECKPOINT_INTERVAL_BYTES } from '../../../src/oci/checkpoints.ts'
import type { Contact, Instruction, Progress } from '../../../src/peers/wire/messages.ts'
import { Failure } from '../../../src/ports/failure.ts'
import type { VouchedIntake } from '../../../src/ports/source.ts'
import { checkpointsOf } from '../../../testkit/memory/memory-store.ts'
import { aborted, pour } from '../../../testkit/registries/scripted-source.ts'
import { contactOf, seated } from '../support/seated.ts'

/** All of them are named alike. */
const [LIAR, HONEST] = [contactOf('a', 'node'), contactOf('b', 'node')]

/** What each parent does when it is taken from. */
type Gives = (intake: VouchedIntake, signal: AbortSignal) => Promise<void>

/** A transfer at whose table the owner says first this and then, to each news, what `replies` says. */
async function transfer(
  bytes: Uint8Array,
  parents: ReadonlyMap<Contact['id'], Gives>,
  first: Instruction,
  replies: (news: Progress) => Instruction | undefined,
): Promise<{ news: Progress[]; failure: Failure | undefined; taken: Contact['id'][] }> {
  const news: Progress[] = []
  const taken: Contact['id'][] = []
  const { owner, ended } = seated({
    bytes,
    first,
    hears: (one) => {
      news.push(one)
      const reply = replies(one)
      if (reply !== undefined) owner.say(reply)
    },
    sources: (participation) => [participation.first],
    policy: { ...DEFAULT_FLIGHT_POLICY, backoffMs: 1 },
    take: async ({ id, name }, intake, signal) => {
      taken.push(id)
      intake.setContributor({ id, name })
      intake.expect({ size: bytes.length, mediaType: undefined })
      await parents.get(id)?.(intake, signal)
    },
  })
  const failure = await ended()
  return { news, failure, taken }
}

function spoilt(bytes: Uint8Array, from: number): Buffer {
  const wrong = Buffer.from(bytes)
  for (let at = from; at < wrong.length; at += 1) wrong[at] = (wrong[at] ?? 0) ^ 0x55
  return wrong
}

const blamedIn = (news: readonly Progress[]) =>
  news.flatMap((one) => (one.is === 'blamed' ? [one.parent] : []))

test('who gave the wrong bytes is blamed, not who is taken from when they are found out', async () => {
  const bytes = randomBytes(12 * CHECKPOINT_INTERVAL_BYTES)
  const parents = new Map<Contact['id'], Gives>([
    [
      LIAR.id,
      async (intake) => {
        await pour(intake, spoilt(bytes, 3 * CHECKPOINT_INTERVAL_BYTES), 6 * CHECKPOINT_INTERVAL_BYTES)
        throw new Failure('unavailable', 'it broke off')
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
  const { news, failure, taken } = await transfer(bytes, parents, { is: 'take', parent: LIAR }, (one) =>
    one.is === 'lost' ? { is: 'take', parent: HONEST } : undefined,
  )
  assert.equal(failure, undefined)
  assert.deepEqual(blamedIn(news), [LIAR.id])
  assert.deepEqual(taken, [LIAR.id, HONEST.id, HONEST.id])
})

test('who is taken from when its bytes turn out to be wrong is left for whom the owner says', async () => {
  const bytes = randomBytes(12 * CHECKPOINT_INTERVAL_BYTES)
  const parents = new Map<Contact['id'], Gives>([
    [
      LIAR.id,
      async (intake, signal) => {
        intake.vouch(0, checkpointsOf(bytes))
        await pour(intake, spoilt(bytes, 3 * CHECKPOINT_INTERVAL_BYTES), 6 * CHECKPOINT_INTERVAL_BYTES)
        await aborted(signal)
      },
    ],
    [HONEST.id, (intake) => pour(intake, bytes)],
  ])
  const { news, failure, taken } = await transfer(bytes, parents, { is: 'take', parent: LIAR }, (one) =>
    one.is === 'blamed' ? { is: 'take', parent: HONEST } : undefined,
  )
  assert.equal(failure, undefined)
  assert.deepEqual(blamedIn(news), [LIAR.id])
  assert.deepEqual(taken, [LIAR.id, HONEST.id])
})

test('the only one who gave what turns out wrong at the end is blamed', async () => {
  const bytes = randomBytes(2 * CHECKPOINT_INTERVAL_BYTES)
  const parents = new Map<Contact['id'], Gives>([
    [LIAR.id, (intake) => pour(intake, spoilt(bytes, 2 * CHECKPOINT_INTERVAL_BYTES - 1))],
  ])
  const { news, failure } = await transfer(bytes, parents, { is: 'take', parent: LIAR }, () => undefined)
  assert.equal(failure?.code, 'corrupt')
  assert.deepEqual(blamedIn(news), [LIAR.id])
})
