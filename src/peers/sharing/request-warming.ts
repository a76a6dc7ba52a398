import { Failure } from '../../ports/failure.ts'
import type { WarmLine } from '../../schemas/warm-report.ts'
import { type Member, PEER_PROTOCOL } from '../identity/member.ts'
import type { Membership } from '../membership/membership.ts'
import type { PeerClient } from '../wire/peer-client.ts'
import { failureOfRefused, parseMessage, WarmReply } from '../wire/protocol/messages.ts'
import { MAX_SILENCE_MS, sendKeepAlives, type WarmImages, type WarmRequest } from './warm-exchange.ts'

type NodeName = Pick<Member, 'id' | 'name'>

/** This node, and the other members, each of which can be asked to warm images. */
export interface WarmTargets {
  readonly self: NodeName
  readonly others: readonly { readonly node: NodeName; readonly warm: WarmImages }[]
}

/** A member accepts or refuses the request within this time, before it does any work. */
const ANSWER_TIMEOUT_MS = 5000
/** The names of images in one message: half of what fits into one, since JSON may escape characters. */
const MAX_BATCH_CHARACTERS = 32 * 1024

export function warmTargetsOf(
  membership: Membership,
  peerClient: PeerClient,
  maxSilenceMs = MAX_SILENCE_MS,
): WarmTargets {
  const { self } = membership
  return {
    self: { id: self.id, name: self.name },
    others: membership.others().map((member) => ({
      node: { id: member.id, name: member.name },
      warm: (request, { signal }) => warmOnMember(member, request, peerClient, { signal, maxSilenceMs }),
    })),
  }
}

/** Throws a `Failure` if the member's report ends before `done`. */
async function* warmOnMember(
  member: Member,
  request: WarmRequest,
  peerClient: PeerClient,
  options: { signal: AbortSignal; maxSilenceMs: number },
): AsyncGenerator<WarmLine> {
  const { name, version, protocol } = member
  try {
    if (protocol !== PEER_PROTOCOL) {
      throw new Failure('unsupported', `it runs version ${version}, which uses another peer protocol`)
    }
    yield* reportOf(member, request, peerClient, options)
  } catch (error) {
    options.signal.throwIfAborted()
    const code = error instanceof Failure ? error.code : 'unavailable'
    const message = error instanceof Error ? error.message : 'warming failed'
    // The report names the node already, so the message need not begin with its name.
    const reason = message.startsWith(`${name}: `) ? message.slice(name.length + 2) : message
    throw new Failure(code, reason, { source: name, cause: error })
  }
}

async function* reportOf(
  member: Member,
  { images, ...request }: WarmRequest,
  peerClient: PeerClient,
  { signal, maxSilenceMs }: { signal: AbortSignal; maxSilenceMs: number },
): AsyncGenerator<WarmLine> {
  const { name } = member
  const message = { ask: 'warm', images: images.length, ...request }
  const { answer, exchange } = await peerClient.request(member, message, { signal, ms: ANSWER_TIMEOUT_MS })
  const stopKeepAlives = sendKeepAlives(exchange)
  let isDone = false
  try {
    if (parseAnswer(answer, name).is !== 'ready') {
      throw new Failure('unavailable', 'it did not answer that it is ready for the images')
    }
    for (const batch of batchesOf(images)) exchange.send({ is: 'images', images: batch })
    while (!isDone) {
      const message = await exchange.receive({ signal, ms: maxSilenceMs })
      if (message === undefined) throw new Failure('unavailable', 'it left before it reported the result')
      const line = parseAnswer(message, name)
      if (line.is === 'ready' || line.is === 'beat') continue
      isDone = line.is === 'done'
      yield line
    }
  } finally {
    stopKeepAlives()
    // A destroyed exchange, unlike an ended one, tells the member to stop warming.
    if (isDone) exchange.end()
    else exchange.destroy()
  }
}

function parseAnswer(message: unknown, memberName: string) {
  const answer = parseMessage(WarmReply, message, memberName)
  if (answer.is === 'refused') throw failureOfRefused(memberName, answer)
  return answer
}

function* batchesOf(images: readonly string[]): Generator<readonly string[]> {
  let batch: string[] = []
  let length = 0
  for (const image of images) {
    if (batch.length > 0 && length + image.length > MAX_BATCH_CHARACTERS) {
      yield batch
      batch = []
      length = 0
    }
    batch.push(image)
    length += image.length
  }
  yield batch
}
