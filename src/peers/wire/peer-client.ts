import type { LanePool } from '../../lanes/lane-pool.ts'
import { Failure } from '../../ports/failure.ts'
import type { VouchedIntake, Want } from '../../ports/source.ts'
import type { PeerCredentials } from '../identity/credentials.ts'
import { type MemberAddress, PeerConnector } from './connection/connector.ts'
import type { ConnectionResources } from './connection/resources.ts'
import { ContentClient } from './content/content-client.ts'
import { ControlClient, type StartedExchange } from './control/control-client.ts'

export interface PeerClientLimits {
  readonly connectMs: number
  readonly idleMs: number
  /** A request fails when its connection is silent for so long. */
  readonly silenceMs: number
  /** How many members a node keeps a session with that has no exchange. */
  readonly maxIdleSessions: number
}

const DEFAULT_LIMITS: PeerClientLimits = {
  connectMs: 2000,
  idleMs: 30_000,
  silenceMs: 2500,
  maxIdleSessions: 64,
}

export interface PeerClientOptions {
  readonly credentials: PeerCredentials
  readonly resources: ConnectionResources
  /** Receive the contents. */
  readonly lanes: LanePool
  readonly limits?: Partial<PeerClientLimits> | undefined
}

/** Sends requests to other members, over connections that are reused. */
export class PeerClient {
  readonly #connector: PeerConnector
  readonly #control: ControlClient
  readonly #content: ContentClient
  readonly #lanes: LanePool

  constructor({ credentials, resources, lanes, limits }: PeerClientOptions) {
    const { connectMs, idleMs, silenceMs, maxIdleSessions } = { ...DEFAULT_LIMITS, ...limits }
    this.#lanes = lanes
    this.#connector = new PeerConnector(credentials, { connectMs, lanes })
    const connector = this.#connector
    const { lingerMs } = resources
    this.#control = new ControlClient({ connector, lingerMs, idleMs, silenceMs, maxIdle: maxIdleSessions })
    this.#content = new ContentClient({ connector, resources, idleMs })
  }

  /** How many connections wait for the next request. */
  get idleConnections(): { readonly control: number; readonly content: number } {
    return { control: this.#control.idleCount, content: this.#content.idleCount }
  }

  /** How many connections have resumed a TLS session. */
  get resumedSessions(): number {
    return this.#connector.resumedSessions
  }

  /** Begins an exchange with `message`, and waits up to `ms` for the first answer. */
  request(
    member: MemberAddress,
    message: object,
    options: { signal: AbortSignal; ms: number },
  ): Promise<StartedExchange> {
    return this.#control.request(member, message, options)
  }

  /** Says that a download may follow soon: a lane takes a while to start. */
  prepareDownload(): void {
    this.#lanes.prepare()
  }

  /**
   * Downloads what is missing of a content from a member, which may still be receiving it itself and must begin its
   * response within `ms`. Rejects with a `Failure` when the member fails; the bytes that arrived before stay in the intake.
   */
  download(
    member: MemberAddress,
    want: Want,
    intake: VouchedIntake,
    options: { signal: AbortSignal; ms: number },
  ): Promise<void> {
    return this.#content.download(member, { want, intake, ...options })
  }

  /** Closes all connections, also those of exchanges and downloads under way. */
  close(): void {
    const reason = new Failure('stopping', 'the agent is stopping')
    this.#control.close(reason)
    this.#content.close(reason)
  }
}
