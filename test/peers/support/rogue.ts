import { randomBytes } from 'node:crypto'
import { issueCredentials } from '../../../src/peers/identity/certificate.ts'
import type { PeerCredentials } from '../../../src/peers/identity/credentials.ts'
import { type Identity, identityOf } from '../../../src/peers/identity/identity.ts'
import { type Member, PEER_PROTOCOL } from '../../../src/peers/identity/member.ts'
import type { SwarmSecret } from '../../../src/peers/identity/secret.ts'
import type { PeerExchange } from '../../../src/peers/wire/exchange.ts'
import { PeerClient, type StartedExchange } from '../../../src/peers/wire/peer-client.ts'
import { PeerServer } from '../../../src/peers/wire/peer-server.ts'
import type { Contact } from '../../../src/peers/wire/protocol/messages.ts'
import { connectionResources } from '../../../testkit/peer-lab.ts'

export type Misdeed = (first: Asked, line: PeerExchange) => Promise<void>

/** The first message of an exchange, not looked into. */
export interface Asked {
  readonly ask: string
  readonly digest: string
  readonly from: number
  readonly self: Contact
}

/** A member that knows the secret, listens where others find it, and does whatever the test says. */
export class Rogue {
  readonly identity: Identity
  readonly credentials: PeerCredentials
  readonly #door: PeerServer
  readonly #dialer: PeerClient
  #misdeed: Misdeed = async () => {}
  member: Member

  private constructor(secret: SwarmSecret, name: string) {
    this.identity = identityOf(randomBytes(32))
    this.credentials = issueCredentials([secret], { identity: this.identity })
    this.#dialer = new PeerClient({
      credentials: this.credentials,
      resources: connectionResources(),
      limits: { connectMs: 60_000 },
    })
    this.#door = new PeerServer({
      listen: { host: '127.0.0.1', port: 0 },
      credentials: this.credentials,
      resources: connectionResources(),
      memberOf: () => undefined,
      onExchange: (first, line) => this.#misdeed(first as Asked, line),
    })
    const { id, fingerprint } = this.credentials
    this.member = {
      id,
      incarnation: Date.now(),
      name,
      host: '127.0.0.1',
      port: 1,
      fingerprint,
      zone: undefined,
      version: 'test',
      protocol: PEER_PROTOCOL,
    }
  }

  static async start(secret: SwarmSecret, name: string): Promise<Rogue> {
    const rogue = new Rogue(secret, name)
    const { host, port } = await rogue.#door.start()
    rogue.member = { ...rogue.member, host, port }
    return rogue
  }

  get contact(): Contact {
    const { id, name, host, port, fingerprint } = this.member
    return { id, name, host, port, fingerprint }
  }

  /** Answers every exchange from now on. */
  answers(misdeed: Misdeed): void {
    this.#misdeed = misdeed
  }

  ask(member: Member, message: object, ms = 60_000): Promise<StartedExchange> {
    return this.#dialer.request(member, message, { signal: AbortSignal.timeout(60_000), ms })
  }

  async stop(): Promise<void> {
    this.#dialer.close()
    await this.#door.stop({ drainMs: 0 })
  }
}
