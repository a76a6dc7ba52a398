import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Failure } from '../../../../src/ports/failure.ts'
import { checkpointsOf } from '../../../../testkit/memory/digests.ts'
import { fc, runs } from '../../../../testkit/property-runs.ts'
import { type Attempt, pour, ScriptedSource, sends } from '../../../../testkit/registries/scripted-source.ts'
import { pull, setUpFlights, wantOf, wrongFrom } from '../../support/flights.ts'

/** What one source does: how far its bytes are right, where it breaks off, and what it vouches for. */
interface Script {
  readonly kind: 'peer' | 'upstream'
  readonly firstWrong: number | null
  readonly endsAt: number
  readonly vouchesFor: 'right bytes' | 'nothing' | 'other bytes' | 'its own bytes'
}

const SIZE = 600_000
const script: fc.Arbitrary<Script> = fc.record({
  kind: fc.constantFrom('peer', 'peer', 'upstream'),
  firstWrong: fc.option(fc.nat(SIZE)),
  endsAt: fc.nat(900_000),
  vouchesFor: fc.constantFrom('right bytes', 'right bytes', 'nothing', 'other bytes', 'its own bytes'),
})

/** Wrong bytes are found out while the last bytes that nobody vouches for are given up. */
const FOUND_LATE: Script[] = [
  { kind: 'peer', firstWrong: null, endsAt: 327_680, vouchesFor: 'right bytes' },
  { kind: 'peer', firstWrong: 0, endsAt: 393_216, vouchesFor: 'right bytes' },
]
const WRONG: Script = { kind: 'peer', firstWrong: 0, endsAt: SIZE, vouchesFor: 'right bytes' }
/** More peers bring only wrong bytes than a flight may begin again. */
const MANY_WRONG: Script[] = [
  { ...WRONG, firstWrong: null, endsAt: 0, vouchesFor: 'other bytes' },
  WRONG,
  WRONG,
  WRONG,
  { ...WRONG, endsAt: 1 },
]

function sourceOf({ kind, firstWrong, endsAt, vouchesFor }: Script, bytes: Buffer, number: number) {
  const own = firstWrong === null ? bytes : wrongFrom(bytes, firstWrong)
  const step = async ({ intake }: Attempt): Promise<void> => {
    intake.expect({ size: SIZE, mediaType: undefined })
    if (vouchesFor === 'right bytes') intake.vouch(0, checkpointsOf(bytes))
    if (vouchesFor === 'other bytes') intake.vouch(3, checkpointsOf(randomBytes(200_000)))
    if (vouchesFor === 'its own bytes') intake.vouch(0, checkpointsOf(own))
    await pour(intake, own, Math.min(endsAt, SIZE))
    if (endsAt < SIZE) throw new Failure('unavailable', 'the connection broke')
  }
  return new ScriptedSource(`${kind} ${number}`, [step], kind)
}

test('no reader gets a complete wrong body, whatever the sources send, break off and vouch for', async () => {
  const property = fc.asyncProperty(
    fc.array(script, { maxLength: 6 }),
    fc.nat(3),
    async (scripts, readers) => {
      const bytes = randomBytes(SIZE)
      const sources = scripts.map((each, number) => sourceOf(each, bytes, number))
      const { flights, store } = setUpFlights([...sources, new ScriptedSource('last', [sends(bytes)])])
      const want = wantOf(bytes)
      const { flight } = flights.join(want)
      const bodies = Array.from({ length: readers }, () => pull(flights, want))
      for (const outcome of await Promise.allSettled(bodies)) {
        assert.ok(outcome.status === 'rejected' || outcome.value.equals(bytes), 'a wrong body')
      }
      const failure = await flight.ended
      // Peers alone cannot make a flight fail.
      const areOnlyPeersWrong = scripts.every(
        ({ kind, firstWrong }) => kind === 'peer' || firstWrong === null,
      )
      if (areOnlyPeersWrong) assert.equal(failure, undefined)
      if (failure === undefined) {
        assert.ok(Buffer.from(store.stored.get(want.digest)?.bytes ?? []).equals(bytes))
      }
      assert.equal(store.incomingCount, 0)
      assert.equal(store.openContents, 0)
    },
  )
  await fc.assert(property, {
    ...runs(30),
    examples: [
      [FOUND_LATE, 0],
      [MANY_WRONG, 0],
    ],
  })
})
