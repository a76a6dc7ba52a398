import { Failure } from '../../ports/failure.ts'
import type { WarmLine } from '../../schemas/warm-report.ts'
import { type Member, PEER_PROTOCOL } from '../identity/member.ts'
import type { Membership } from '../membership/membership.ts'
import type { PeerExchange } from '../wire/exchange.ts'
import {
  failureOfRefusal,
  type PeerRequest,
  parseMessage,
  WarmReply,
  WarmRequestMessage,
} from '../wire/messages.ts'
import type { PeerClient } from '../wire/peer-client.ts'

/** Images that are wanted warm, each named with its registry, and how. */
export interface WarmWish {
  readonly images: readonly string[]
  readonly platforms: readonly string[]
  readonly referrers: boolean
  readonly pin: boolean
}

/** Has images here. Told in lines that end with `done`. */
export type Warm = (wish: WarmWish, options: { signal: AbortSignal }) => AsyncIterable<WarmLine>

type Named = Pick<Member, 'id' | 'name'>

/** This node, and the others, each of which can be had to warm images. */
export interface Warmers {
  readonly self: Named
  readonly others: readonly { readonly node: Named; readonly warm: Warm }[]
}

const ANSWER_MS = 5000
/** For all the names of the images. */
const IMAGES_MS = 15_000
/** Both sides say something so often, and are given up when they are silent for so long. */
const BEAT_MS = 1000
const SILENCE_MS = 6000
/** Progress is told no more often. */
const PROGRESS_MS = 900
/** Of images in one message: half of what fits. */
const BATCH_CHARACTERS = 32 * 1024
/** What is wrong with an image may quote a list from upstream. */
const LONGEST_ERROR = 2000

export function warmersOf(membership: Membership, dialer: PeerClient, silenceMs = SILENCE_MS): Warmers {
  const { self } = membership
  return {
    self: { id: self.id, name: self.name },
    others: membership.others().map((member) => ({
      node: { id: member.id, name: member.name },
      warm: (wish, { signal }) => elsewhere(member, wish, dialer, { signal, silenceMs }),
    })),
  }
}

/** Throws a `Failure` when it is not told to its end. */
async function* elsewhere(
  member: Member,
  wish: WarmWish,
  dialer: PeerClient,
  { signal, silenceMs }: { signal: AbortSignal; silenceMs: number },
): AsyncGenerator<WarmLine> {
  const { name, version, protocol } = member
  try {
    if (protocol !== PEER_PROTOCOL) {
      throw new Failure('unsupported', `it runs version ${version}, which does not understand this one`)
    }
    yield* asked(member, wish, dialer, { signal, silenceMs })
  } catch (error) {
    signal.throwIfAborted()
    const code = error instanceof Failure ? error.code : 'unavailable'
    const said = error instanceof Error ? error.message : 'it failed'
    // Whoever asks knows whom.
    const why = said.startsWith(`${name}: `) ? said.slice(name.length + 2) : said
    throw new Failure(code, why, { source: name, cause: error })
  }
}

async function* asked(
  member: Member,
  { images, platforms, referrers, pin }: WarmWish,
  dialer: PeerClient,
  { signal, silenceMs }: { signal: AbortSignal; silenceMs: number },
): AsyncGenerator<WarmLine> {
  const { name } = member
  const ask = { ask: 'warm', images: images.length, platforms, referrers, pin }
  const { answer, exchange: line } = await dialer.request(member, ask, { signal, ms: ANSWER_MS })
  const stopBeating = beating(line)
  let isDone = false
  try {
    if (heard(answer, name).is !== 'ready') throw new Failure('unavailable', 'it is not ready for images')
    for (const batch of batches(images)) line.send({ is: 'images', images: batch })
    while (!isDone) {
      const message = await line.receive({ signal, ms: silenceMs })
      if (message === undefined) throw new Failure('unavailable', 'it has not said what it came to')
      const told = heard(message, name)
      if (told.is === 'ready' || told.is === 'beat') continue
      isDone = told.is === 'done'
      yield told
    }
  } finally {
    stopBeating()
    // The break tells the other side that nobody wants to know any more.
    if (isDone) line.end()
    else line.destroy()
  }
}

function heard(message: unknown, who: string) {
  const told = parseMessage(WarmReply, message, who)
  if (told.is === 'refused') throw failureOfRefusal(who, told)
  return told
}

function* batches(images: readonly string[]): Generator<readonly string[]> {
  let batch: string[] = []
  let length = 0
  for (const image of images) {
    if (batch.length > 0 && length + image.length > BATCH_CHARACTERS) {
      yield batch
      batch = []
      length = 0
    }
    batch.push(image)
    length += image.length
  }
  yield batch
}

/** Warms what another agent asks for, for as long as that one wants to know. */
export async function tellWarming(
  ask: PeerRequest & { ask: 'warm' },
  line: PeerExchange,
  warm: Warm,
  silenceMs = SILENCE_MS,
): Promise<void> {
  const { platforms, referrers, pin } = ask
  line.send({ is: 'ready' })
  const stopBeating = beating(line)
  const over = new AbortController()
  let listening: Promise<void> | undefined
  try {
    const images = await receiveImages(line, ask.images)
    listening = untilSilent(line, over, silenceMs)
    let toldAt = Number.NEGATIVE_INFINITY
    for await (const told of warm({ images, platforms, referrers, pin }, { signal: over.signal })) {
      if (told.is === 'progress') {
        if (performance.now() - toldAt < PROGRESS_MS) continue
        toldAt = performance.now()
      }
      line.send(told.is === 'image' ? { ...told, error: told.error?.slice(0, LONGEST_ERROR) ?? null } : told)
    }
  } finally {
    stopBeating()
    over.abort()
    await listening
  }
}

async function receiveImages(line: PeerExchange, count: number): Promise<readonly string[]> {
  const images: string[] = []
  const signal = AbortSignal.timeout(IMAGES_MS)
  while (images.length < count) {
    const message = await line.receive({ signal, ms: SILENCE_MS })
    const news = parseMessage(WarmRequestMessage, message, line.peerName)
    if (news.is === 'images') images.push(...news.images)
  }
  if (images.length > count) throw new Failure('unavailable', 'there are more images than were announced')
  return images
}

/** Aborts `over` when the other side leaves. */
async function untilSilent(line: PeerExchange, over: AbortController, silenceMs: number): Promise<void> {
  try {
    for (;;) {
      const message = await line.receive({ signal: over.signal, ms: silenceMs })
      if (message === undefined) break
      parseMessage(WarmRequestMessage, message, line.peerName)
    }
  } catch {
    // It has gone, or is not wanted any more.
  }
  over.abort(new Failure('stopping', 'nobody wants to know any more'))
}

/** Says that this side is still there. Gives back what ends it. */
function beating(line: PeerExchange): () => void {
  const timer = setInterval(() => {
    try {
      line.send({ is: 'beat' })
    } catch {
      clearInterval(timer)
    }
  }, BEAT_MS)
  return () => clearInterval(timer)
}
