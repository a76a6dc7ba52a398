import { DEFAULT_FLIGHT_POLICY } from '../../../src/fetch/flight/flight-policy.ts'
import { Flights } from '../../../src/fetch/flight/flights.ts'
import { LocalContentLookup } from '../../../src/fetch/local-content.ts'
import type { SessionListener } from '../../../src/peers/tracker/session.ts'
import { DownloadRate } from '../../../src/peers/transfer/download-rate.ts'
import { PeerTransfer } from '../../../src/peers/transfer/peer-transfer.ts'
import type { TrackerEndpoint } from '../../../src/peers/transfer/tracker-endpoint.ts'
import type { Contact, Instruction, Progress } from '../../../src/peers/wire/protocol/messages.ts'
import type { Failure } from '../../../src/ports/failure.ts'
import type { Source, VouchedIntake, Want } from '../../../src/ports/source.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { knownNamesOf } from '../../../testkit/memory/known-names.ts'
import { MemoryCatalog } from '../../../testkit/memory/memory-catalog.ts'
import { MemoryStore } from '../../../testkit/memory/memory-store.ts'

export function contactOf(digit: string, name = digit): Contact {
  const fingerprint = digit.repeat(64)
  return { id: digit.repeat(32) as Contact['id'], name, host: '127.0.0.1', port: 1, fingerprint }
}

const [SELF, OWNER] = [contactOf('0'), contactOf('f')]

export interface ScriptedOwner {
  instruct(instruction: Instruction): void
  disconnect(): void
}

export interface ScriptedTransferOptions {
  readonly bytes: Uint8Array
  /** The owner's first instruction. */
  readonly first: Instruction
  readonly onProgress?: (progress: Progress) => void
  readonly sources: (transfer: PeerTransfer) => readonly Source[]
  readonly download: (parent: Contact, intake: VouchedIntake, signal: AbortSignal) => Promise<void>
  readonly policy?: typeof DEFAULT_FLIGHT_POLICY
}

/** A transfer whose owner sends the instructions that the test gives. */
export function scriptedTransfer({
  bytes,
  first,
  onProgress = () => {},
  sources,
  download,
  policy = DEFAULT_FLIGHT_POLICY,
}: ScriptedTransferOptions) {
  const store = new MemoryStore({ catalog: new MemoryCatalog() })
  let listener: SessionListener | undefined
  const want: Want = {
    digest: digestOf(bytes),
    kind: 'blob',
    repository: { registry: 'up.test', name: 'app' },
  }
  const tracker: TrackerEndpoint = {
    id: OWNER.id,
    name: OWNER.name,
    isSelf: false,
    join: async (_want, _request, opened) => {
      listener = opened
      queueMicrotask(() => opened.onInstruction(first))
      return { report: onProgress, leave: () => opened.onEnded() }
    },
  }
  const flights: Flights = new Flights({
    store,
    sources: () => sources(transfer),
    policy,
    confirm: async () => {},
    describe: async () => ({ mediaType: undefined, references: [], subject: undefined }),
    limit: 10,
  })
  const transfer: PeerTransfer = new PeerTransfer({
    want,
    self: { contact: SELF, zone: undefined },
    localContent: new LocalContentLookup(store, flights, knownNamesOf(store)),
    trackers: () => [tracker],
    download,
    downloadRate: new DownloadRate(),
    onBegin: () => {},
    onEnd: () => {},
  })
  const owner: ScriptedOwner = {
    instruct: (instruction) => listener?.onInstruction(instruction),
    disconnect: () => listener?.onEnded(),
  }
  const ended = async (): Promise<Failure | undefined> => {
    const failure = await flights.join(want).flight.ended
    transfer.close()
    return failure
  }
  return { owner, ended, store, want }
}
