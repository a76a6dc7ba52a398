import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import type { Member, MemberId } from '../../../src/peers/identity/member.ts'
import type { Membership } from '../../../src/peers/membership/membership.ts'
import { answerWarming } from '../../../src/peers/sharing/answer-warming.ts'
import { warmTargetsOf } from '../../../src/peers/sharing/request-warming.ts'
import type { WarmImages } from '../../../src/peers/sharing/warm-exchange.ts'
import type { PeerExchange } from '../../../src/peers/wire/control/exchange.ts'
import { PeerRequest, parseMessage } from '../../../src/peers/wire/protocol/messages.ts'
import type { WarmLine } from '../../../src/schemas/warm-report.ts'
import { neverAborted, peerLab } from '../../../testkit/peer-lab.ts'

const REQUEST = { images: ['up.test/app:v1'], platforms: [], referrers: false, pin: false, waitMs: 0 }
const ASK_MESSAGE = { ask: 'warm', images: 1, platforms: [], referrers: false, pin: false }
const IMAGES_MESSAGE = { is: 'images', images: REQUEST.images }
const DONE = {
  is: 'done',
  images: 1,
  failed: 0,
  bytes: 5,
  hereBytes: 0,
  fetched: { peer: 5, objectStore: 0, upstream: 0 },
  ms: 1,
} as const

function membershipOf(other: Member): Membership {
  return {
    self: { ...other, id: 'a'.repeat(32) as MemberId, name: 'requester' },
    others: () => [other],
    get: () => other,
    departure: () => undefined,
    onChange: () => () => {},
    notices: { send: () => {}, latest: () => undefined, onReceived: () => () => {} },
  }
}

/** Longer than any step takes on a slow machine. */
const PATIENCE_MS = 60_000

/** Requests warming from a member that answers with `answer`, and returns the lines of its report. */
async function requestFrom(
  t: TestContext,
  answer: (exchange: PeerExchange) => Promise<void>,
  maxSilenceMs = PATIENCE_MS,
): Promise<WarmLine[]> {
  const lab = await peerLab(t, { onExchange: (_first, exchange) => answer(exchange) })
  const [target] = warmTargetsOf(membershipOf(lab.member), lab.client, maxSilenceMs).others
  const lines: WarmLine[] = []
  for await (const line of target?.warm(REQUEST, { signal: neverAborted() }) ?? []) lines.push(line)
  return lines
}

/** Asks a member that warms with `warm`, and returns the exchange once the member is ready for the images. */
async function openExchange(
  t: TestContext,
  warm: WarmImages,
  maxSilenceMs = PATIENCE_MS,
): Promise<PeerExchange> {
  const lab = await peerLab(t, {
    onExchange: async (first, exchange) => {
      const ask = parseMessage(PeerRequest, first, exchange.peerName)
      assert.ok(ask.ask === 'warm')
      await answerWarming(ask, exchange, warm, maxSilenceMs)
    },
  })
  const { answer, exchange } = await lab.request(ASK_MESSAGE)
  assert.deepEqual(answer, { is: 'ready' })
  return exchange
}

/** A warming that runs until it is aborted. `aborted` then resolves with the reason. */
function endlessWarming(): { readonly warm: WarmImages; readonly aborted: Promise<unknown> } {
  let resolveAborted: (reason: unknown) => void = () => {}
  const aborted = new Promise<unknown>((resolve) => {
    resolveAborted = resolve
  })
  const warm: WarmImages = async function* (_, { signal }) {
    if (!signal.aborted) await once(signal, 'abort')
    resolveAborted(signal.reason)
    signal.throwIfAborted()
    yield DONE
  }
  return { warm, aborted }
}

/** The tests run concurrently because some of them wait for a timeout. */
describe('a request to warm images', { concurrency: true }, () => {
  it('returns the lines of the report up to the last one', async (t) => {
    const lines = await requestFrom(t, async (exchange) => {
      exchange.send({ is: 'ready' })
      assert.deepEqual(await exchange.receive({ signal: neverAborted(), ms: PATIENCE_MS }), IMAGES_MESSAGE)
      exchange.send({ is: 'beat' })
      exchange.send(DONE)
    })
    assert.deepEqual(lines, [DONE])
  })

  for (const [what, messages, expected] of [
    ['ends its report early', [{ is: 'ready' }], /^it left before it reported the result$/],
    ['refuses', [{ is: 'refused', code: 'busy', message: 'it is still starting' }], /^it is still starting$/],
    ['sends an invalid line', [{ is: 'ready' }, { is: 'done', images: -1 }], /invalid message/],
    ['does not answer that it is ready', [DONE], /^it did not answer that it is ready for the images$/],
  ] as const) {
    it(`fails if the member ${what}`, async (t) => {
      const lines = requestFrom(t, async (exchange) => {
        for (const message of messages) exchange.send(message)
      })
      await assert.rejects(lines, { name: 'Failure', message: expected })
    })
  }

  it('fails if the member sends nothing for too long', async (t) => {
    const answer = async (exchange: PeerExchange): Promise<void> => {
      exchange.send({ is: 'ready' })
      if (!exchange.closed.aborted) await once(exchange.closed, 'abort')
    }
    const lines = requestFrom(t, answer, 200)
    await assert.rejects(lines, { name: 'Failure', message: 'sent nothing within 200 ms' })
  })
})

describe('a member that is asked to warm images', { concurrency: true }, () => {
  it('waits for a registry as long as the other node asks for; earlier versions do not say it', async (t) => {
    const asked: number[] = []
    const warm: WarmImages = async function* ({ waitMs }) {
      asked.push(waitMs)
      yield DONE
    }
    for (const waitMs of [300_000, undefined]) {
      const lab = await peerLab(t, {
        onExchange: async (first, exchange) => {
          const { waitMs: _sent, ...earlier } = first as Record<string, unknown>
          const ask = parseMessage(PeerRequest, waitMs === undefined ? earlier : first, exchange.peerName)
          assert.ok(ask.ask === 'warm')
          await answerWarming(ask, exchange, warm, PATIENCE_MS)
        },
      })
      const [target] = warmTargetsOf(membershipOf(lab.member), lab.client, PATIENCE_MS).others
      const lines = target?.warm({ ...REQUEST, waitMs: waitMs ?? 0 }, { signal: neverAborted() })
      for await (const line of lines ?? []) assert.deepEqual(line, DONE)
    }
    assert.deepEqual(asked, [300_000, 0])
  })

  it('sends keep-alives while there is nothing to report, and stops warming when the exchange breaks', async (t) => {
    const { warm, aborted } = endlessWarming()
    const exchange = await openExchange(t, warm)
    exchange.send(IMAGES_MESSAGE)
    assert.deepEqual(await exchange.receive({ signal: neverAborted(), ms: PATIENCE_MS }), { is: 'beat' })
    exchange.destroy()
    await aborted
  })

  it('stops warming when the requester ends the exchange', async (t) => {
    const { warm, aborted } = endlessWarming()
    const exchange = await openExchange(t, warm)
    exchange.send(IMAGES_MESSAGE)
    exchange.end()
    await aborted
  })

  it('stops warming when the requester sends nothing for too long', async (t) => {
    const { warm, aborted } = endlessWarming()
    const exchange = await openExchange(t, warm, 200)
    exchange.send(IMAGES_MESSAGE)
    await aborted
    exchange.destroy()
  })

  it('warms nothing if more images are sent than announced, or an invalid name', async (t) => {
    for (const images of [['up.test/a', 'up.test/b'], ['up.test/NONE'], [], ['x'.repeat(601)]]) {
      let hasStarted = false
      const exchange = await openExchange(t, async function* () {
        hasStarted = true
        yield DONE
      })
      exchange.send({ is: 'images', images })
      assert.equal(await exchange.receive({ signal: neverAborted(), ms: PATIENCE_MS }), undefined)
      exchange.end()
      assert.ok(!hasStarted)
    }
  })
})
