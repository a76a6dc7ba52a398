import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { publish } from '../../../src/observe/events.ts'
import { Savings, type SavingsEntry, type SavingsOptions } from '../../../src/observe/records/savings.ts'
import { ALPINE } from '../memory-node.ts'
import { peerTransfer, requestEnded } from '../sample-events.ts'

const HOSTED = { registry: 'localhost', name: 'team/app' }
const DAY = Date.UTC(2026, 0, 31)

class MemoryLedger {
  readonly written: SavingsEntry[] = []
  isFull = false

  async add(entries: readonly SavingsEntry[]): Promise<void> {
    if (this.isFull) throw new Error('ENOSPC')
    this.written.push(...entries)
  }

  async *entries(): AsyncGenerator<SavingsEntry> {
    yield* this.written
  }
}

async function savingsOn(t: TestContext, ledger: MemoryLedger, options: Partial<SavingsOptions> = {}) {
  const savings = new Savings({
    ledger,
    zone: 'a',
    isHosted: ({ registry }) => registry === HOSTED.registry,
    costPerGiB: () => undefined,
    now: () => DAY,
    ...options,
  })
  t.after(() => savings.close())
  await savings.open()
  return savings
}

test('what warming has fetched is saved when it is pulled, and what a peer gives is saved, too', async (t) => {
  const savings = await savingsOn(t, new MemoryLedger())
  assert.deepEqual(savings.view().total, { clients: 0, peers: 0, upstream: 0 })
  for (const source of ['local', 'inflight', 'peer'] as const) {
    publish('request.ended', requestEnded({ source, bytes: 100 }))
  }
  publish('request.ended', requestEnded({ source: 'upstream', bytes: 40 }))
  publish('peer.served', peerTransfer({ bytes: 7 }))
  assert.deepEqual(savings.view().total, { clients: 300, peers: 7, upstream: 40 })
  assert.equal(savings.view().since, '2026-01-31')
})

test('errors, hosted images and requests without a repository count nothing', async (t) => {
  const savings = await savingsOn(t, new MemoryLedger())
  publish('request.ended', requestEnded({ source: undefined, bytes: 100 }))
  publish('request.ended', requestEnded({ repository: undefined }))
  publish('request.ended', requestEnded({ repository: HOSTED }))
  publish('request.ended', requestEnded({ bytes: 0 }))
  assert.deepEqual(savings.view(), {
    since: undefined,
    total: { clients: 0, peers: 0, upstream: 0 },
    cost: undefined,
    registries: [],
  })
})

test('the counts are kept by day, image and zone, and are there after a restart', async (t) => {
  const ledger = new MemoryLedger()
  const first = await savingsOn(t, ledger)
  for (let times = 0; times < 3; times += 1) publish('request.ended', requestEnded({ bytes: 10 }))
  await first.close()
  assert.deepEqual(ledger.written, [
    {
      day: '2026-01-31',
      registry: 'docker.io',
      image: 'library/alpine',
      zone: 'a',
      kind: 'clients',
      bytes: 30,
    },
  ])
  const second = await savingsOn(t, ledger, { costPerGiB: () => 2 })
  publish('request.ended', requestEnded({ bytes: 1024 ** 3 - 30 }))
  const { total, cost, registries } = second.view()
  assert.deepEqual([total.clients, cost], [1024 ** 3, 2])
  assert.deepEqual(
    registries.map(({ registry }) => registry),
    ['docker.io'],
  )
})

test('what could not be written is written with the next counts', async (t) => {
  const ledger = new MemoryLedger()
  ledger.isFull = true
  const savings = await savingsOn(t, ledger)
  publish('request.ended', requestEnded({ bytes: 10 }))
  await savings.close()
  ledger.isFull = false
  await savings.close()
  assert.equal(ledger.written[0]?.bytes, 10)
})

test('the images that are counted at once are bounded', async (t) => {
  const ledger = new MemoryLedger()
  const savings = await savingsOn(t, ledger)
  for (let image = 0; image < 1100; image += 1) {
    publish('request.ended', requestEnded({ repository: { ...ALPINE, name: `library/i${image}` }, bytes: 1 }))
  }
  await savings.close()
  assert.equal(ledger.written.length, 1001)
  assert.equal(ledger.written.find(({ image }) => image === '*')?.bytes, 100)
})
