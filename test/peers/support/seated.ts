import { DEFAULT_FLIGHT_POLICY } from '../../../src/fetch/flight/flight.ts'
import { Flights } from '../../../src/fetch/flight/flights.ts'
import { LocalContentLookup } from '../../../src/fetch/local-content.ts'
import type { SessionListener } from '../../../src/peers/tracker/session.ts'
import { Reception } from '../../../src/peers/transfer/download-rate.ts'
import { Participation } from '../../../src/peers/transfer/peer-transfer.ts'
import type { Table } from '../../../src/peers/transfer/tracker-session.ts'
import type { Contact, Instruction, Progress } from '../../../src/peers/wire/messages.ts'
import type { Failure } from '../../../src/ports/failure.ts'
import type { Source, VouchedIntake, Want } from '../../../src/ports/source.ts'
import { knownNamesOf } from '../../../testkit/memory/known-names.ts'
import { MemoryCatalog } from '../../../testkit/memory/memory-catalog.ts'
import { digestOf, MemoryStore } from '../../../testkit/memory/memory-store.ts'

export function contactOf(digit: string, name = digit): Contact {
  const fingerprint = digit.repeat(64)
  return { id: digit.repeat(32) as Contact['id'], name, host: '127.0.0.1', port: 1, fingerprint }
}

const [SELF, OWNER] = [contactOf('0'), contactOf('f')]

export interface Owner {
  say(guidance: Instruction): void
  die(): void
}

export interface Seat {
  readonly bytes: Uint8Array
  /** What the owner says at first. */
  readonly first: Instruction
  readonly hears?: (news: Progress) => void
  readonly sources: (participation: Participation) => readonly Source[]
  readonly take: (parent: Contact, intake: VouchedIntake, signal: AbortSignal) => Promise<void>
  readonly policy?: typeof DEFAULT_FLIGHT_POLICY
}

/** A transfer at the table of an owner that says what the test says. */
export function seated({
  bytes,
  first,
  hears = () => {},
  sources,
  take,
  policy = DEFAULT_FLIGHT_POLICY,
}: Seat) {
  const store = new MemoryStore({ catalog: new MemoryCatalog() })
  let guest: SessionListener | undefined
  const want: Want = {
    digest: digestOf(bytes),
    kind: 'blob',
    repository: { registry: 'up.test', name: 'app' },
  }
  const table: Table = {
    id: OWNER.id,
    name: OWNER.name,
    isSelf: false,
    sit: async (_want, _coming, who) => {
      guest = who
      queueMicrotask(() => who.onInstruction(first))
      return { report: hears, leave: () => who.onEnded() }
    },
  }
  const flights: Flights = new Flights({
    store,
    sources: () => sources(participation),
    policy,
    confirm: async () => {},
    describe: async () => ({ mediaType: undefined, references: [], subject: undefined }),
    limit: 10,
  })
  const participation: Participation = new Participation({
    want,
    self: { contact: SELF, zone: undefined },
    holdings: new LocalContentLookup(store, flights, knownNamesOf(store)),
    tables: () => [table],
    take,
    reception: new Reception(),
    onBegun: () => {},
    onEnded: () => {},
  })
  const owner: Owner = {
    say: (guidance) => guest?.onInstruction(guidance),
    die: () => guest?.onEnded(),
  }
  const ended = async (): Promise<Failure | undefined> => {
    const failure = await flights.join(want).flight.ended
    participation.close()
    return failure
  }
  return { owner, ended, store, want }
}
