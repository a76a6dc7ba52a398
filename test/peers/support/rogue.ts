import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Digest } from '../../../src/oci/digest.ts'
import { issueCredentials } from '../../../src/peers/identity/certificate.ts'
import type { PeerCredentials } from '../../../src/peers/identity/credentials.ts'
import { identityOf } from '../../../src/peers/identity/identity.ts'
import { type Member, PEER_PROTOCOL } from '../../../src/peers/identity/member.ts'
import type { SwarmSecret } from '../../../src/peers/identity/secret.ts'
import type { ContentUpload } from '../../../src/peers/wire/content/content-upload.ts'
import type { StartedExchange } from '../../../src/peers/wire/control/control-client.ts'
import type { PeerExchange } from '../../../src/peers/wire/control/exchange.ts'
import { PeerClient } from '../../../src/peers/wire/peer-client.ts'
import { PeerServer } from '../../../src/peers/wire/peer-server.ts'
import type { Contact } from '../../../src/peers/wire/protocol/messages.ts'
import type { Content } from '../../../src/ports/content.ts'
import type { VouchedIntake, Want } from '../../../src/ports/source.ts'
import { connectionResources } from '../../../testkit/peer-lab.ts'
import { sharedLanes } from '../../lanes/shared-lanes.ts'

export type Answer = (request: RogueRequest, exchange: PeerExchange) => Promise<void>
export type Give = (upload: ContentUpload) => Promise<void>

/** The first message of an exchange, not validated. */
export interface RogueRequest {
  readonly ask: string
  readonly digest: Digest
  readonly self: Contact
}

interface Answers {
  toExchanges: Answer
  toUploads: Give
}

/** A member that knows the secret, listens where the others find it, and does whatever the test says. */
export class Rogue {
  readonly member: Member
  readonly #server: PeerServer
  readonly #client: PeerClient
  readonly #answers: Answers

  private constructor(member: Member, server: PeerServer, client: PeerClient, answers: Answers) {
    this.member = member
    this.#server = server
    this.#client = client
    this.#answers = answers
  }

  static async start(secret: SwarmSecret, name: string): Promise<Rogue> {
    const credentials: PeerCredentials = issueCredentials([secret], {
      identity: identityOf(randomBytes(32)),
    })
    const answers: Answers = { toExchanges: async () => {}, toUploads: async (upload) => upload.destroy() }
    const server = new PeerServer({
      listen: { host: '127.0.0.1', port: 0 },
      credentials,
      resources: connectionResources(),
      memberOf: () => undefined,
      onExchange: (request, exchange) => answers.toExchanges(request as RogueRequest, exchange),
      onContent: (upload) => answers.toUploads(upload),
    })
    const address = await server.start()
    const { id, fingerprint } = credentials
    const member: Member = {
      id,
      incarnation: Date.now(),
      name,
      ...address,
      fingerprint,
      zone: undefined,
      version: 'test',
      protocol: PEER_PROTOCOL,
    }
    const client = new PeerClient({
      credentials,
      resources: connectionResources(),
      lanes: sharedLanes(),
      limits: { connectMs: 60_000 },
    })
    return new Rogue(member, server, client, answers)
  }

  get contact(): Contact {
    const { id, name, host, port, fingerprint } = this.member
    return { id, name, host, port, fingerprint }
  }

  /** Answers every exchange so from now on. */
  answers(answer: Answer): void {
    this.#answers.toExchanges = answer
  }

  /** Answers every request for a content so from now on. */
  gives(give: Give): void {
    this.#answers.toUploads = give
  }

  /** Answers `follow` by naming itself as the parent, and every request for a content so. */
  givesAsParent(give: Give): void {
    this.gives(give)
    this.answers(async (request, exchange) => {
      if (request.ask !== 'follow') return
      exchange.send({ is: 'take', parent: this.contact })
      return repeatedly(exchange, { is: 'beat' })
    })
  }

  ask(member: Member, message: object, ms = 60_000): Promise<StartedExchange> {
    return this.#client.request(member, message, { signal: AbortSignal.timeout(60_000), ms })
  }

  /** Asks for the bytes of a content from its start. */
  async take(member: Member, want: Want, intake: VouchedIntake): Promise<void> {
    await this.#client.download(member, want, intake, { signal: AbortSignal.timeout(60_000), ms: 60_000 })
  }

  async stop(): Promise<void> {
    this.#client.close()
    await this.#server.stop({ drainMs: 0 })
  }
}

/** Sends the message again and again until the other side closes the connection. */
export async function repeatedly(exchange: PeerExchange, message: object): Promise<void> {
  for (;;) {
    exchange.send(message)
    await delay(20, undefined, { signal: exchange.closed })
  }
}

/** A content with these bytes, whatever its digest is. */
export function contentOf(digest: Digest, bytes: Uint8Array): Content {
  return {
    digest,
    size: bytes.length,
    mediaType: undefined,
    readable: async () => bytes.length,
    read: async (target, position) => {
      const part = bytes.subarray(position, position + target.length)
      target.set(part)
      return part.length
    },
    close: async () => {},
  }
}
