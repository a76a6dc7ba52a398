import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import type { Member, MemberId } from '../../src/peers/identity/member.ts'
import type { Membership } from '../../src/peers/membership/membership.ts'
import { tellWarming, type Warm, warmersOf } from '../../src/peers/sharing/warming.ts'
import type { PeerExchange } from '../../src/peers/wire/exchange.ts'
import { PeerRequest, parseMessage } from '../../src/peers/wire/messages.ts'
import type { WarmLine } from '../../src/schemas/warm-report.ts'
import { neverAborted, peerLab } from '../../testkit/peer-lab.ts'

const WISH = { images: ['up.test/app:v1'], platforms: [], referrers: false, pin: false }
const ASK = { ask: 'warm', images: 1, platforms: [], referrers: false, pin: false }
const IMAGES = { is: 'images', images: WISH.images }
const DONE = {
  is: 'done',
  images: 1,
  failed: 0,
  bytes: 5,
  hereBytes: 0,
  fetched: { peer: 5, upstream: 0 },
  ms: 1,
} as const

function membershipOf(other: Member): Membership {
  return {
    self: { ...other, id: 'a'.repeat(32) as MemberId, name: 'asker' },
    others: () => [other],
    get: () => other,
    departure: () => undefined,
    onChange: () => () => {},
    hearsay: { tell: () => {}, heard: () => undefined, onHeard: () => () => {} },
  }
}

const PATIENCE_MS = 60_000

/** What one who asks makes of a member that answers so. */
async function askedOf(
  t: TestContext,
  answer: (line: PeerExchange) => Promise<void>,
  silenceMs = PATIENCE_MS,
): Promise<WarmLine[]> {
  const lab = await peerLab(t, { onExchange: (_first, line) => answer(line) })
  const [other] = warmersOf(membershipOf(lab.member), lab.client, silenceMs).others
  const lines: WarmLine[] = []
  for await (const line of other?.warm(WISH, { signal: neverAborted() }) ?? []) lines.push(line)
  return lines
}

/** A member that warms by `warm`, and a line on which it was asked to. */
async function told(t: TestContext, warm: Warm, silenceMs = PATIENCE_MS): Promise<PeerExchange> {
  const lab = await peerLab(t, {
    onExchange: async (first, line) => {
      const ask = parseMessage(PeerRequest, first, line.peerName)
      assert.ok(ask.ask === 'warm')
      await tellWarming(ask, line, warm, silenceMs)
    },
  })
  const { answer, exchange: line } = await lab.request(ASK)
  assert.deepEqual(answer, { is: 'ready' })
  return line
}

/** Resolves with the reason when the walk is ended. */
function walk(): { readonly warm: Warm; readonly ended: Promise<unknown> } {
  let end: (reason: unknown) => void = () => {}
  const ended = new Promise<unknown>((resolve) => {
    end = resolve
  })
  const warm: Warm = async function* (_, { signal }) {
    if (!signal.aborted) await once(signal, 'abort')
    end(signal.reason)
    signal.throwIfAborted()
    yield DONE
  }
  return { warm, ended }
}

/** All at once, because silence takes its time. */
describe('over a line', { concurrency: true }, () => {
  it('one who asks hears what is told to its end', async (t) => {
    const lines = await askedOf(t, async (line) => {
      line.send({ is: 'ready' })
      assert.deepEqual(await line.receive({ signal: neverAborted(), ms: PATIENCE_MS }), IMAGES)
      line.send({ is: 'beat' })
      line.send(DONE)
    })
    assert.deepEqual(lines, [DONE])
  })

  for (const [what, messages, expected] of [
    ['ends before the end', [{ is: 'ready' }], /^it has not said what it came to$/],
    ['refuses', [{ is: 'refused', code: 'busy', message: 'it is still starting' }], /^it is still starting$/],
    ['says something else', [{ is: 'ready' }, { is: 'done', images: -1 }], /invalid message/],
    ['begins with something else', [DONE], /^it is not ready for images$/],
  ] as const) {
    it(`one who asks gives up a member that ${what}`, async (t) => {
      const asking = askedOf(t, async (line) => {
        for (const message of messages) line.send(message)
      })
      await assert.rejects(asking, { name: 'Failure', message: expected })
    })
  }

  it('one who asks gives up a member that falls silent', async (t) => {
    const answer = async (line: PeerExchange): Promise<void> => {
      line.send({ is: 'ready' })
      if (!line.closed.aborted) await once(line.closed, 'abort')
    }
    const asking = askedOf(t, answer, 200)
    await assert.rejects(asking, { name: 'Failure', message: 'sent nothing within 200 ms' })
  })
  it('a member that is asked gives signs of life while nothing is to be told, and ends the walk when the line breaks', async (t) => {
    const { warm, ended } = walk()
    const line = await told(t, warm)
    line.send(IMAGES)
    assert.deepEqual(await line.receive({ signal: neverAborted(), ms: PATIENCE_MS }), { is: 'beat' })
    line.destroy()
    await ended
  })

  it('a member that is asked ends the walk when the other ends in good order', async (t) => {
    const { warm, ended } = walk()
    const line = await told(t, warm)
    line.send(IMAGES)
    line.end()
    await ended
  })

  it('a member that is asked ends the walk when the other falls silent', async (t) => {
    const { warm, ended } = walk()
    const line = await told(t, warm, 200)
    line.send(IMAGES)
    await ended
    line.destroy()
  })

  it('a member that is asked warms nothing when there are more images than were announced, or what is none', async (t) => {
    for (const images of [['up.test/a', 'up.test/b'], ['up.test/NONE'], [], ['x'.repeat(601)]]) {
      let isAsked = false
      const line = await told(t, async function* () {
        isAsked = true
        yield DONE
      })
      line.send({ is: 'images', images })
      assert.equal(await line.receive({ signal: neverAborted(), ms: PATIENCE_MS }), undefined)
      line.end()
      assert.ok(!isAsked)
    }
  })
})
