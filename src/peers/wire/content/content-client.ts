import { LaneClient, type LaneResponse } from '../../../lanes/lane-client.ts'
import { LimitedSink } from '../../../lanes/limited-sink.ts'
import type { Failure } from '../../../ports/failure.ts'
import type { VouchedIntake, Want } from '../../../ports/source.ts'
import { PEER_PROTOCOL } from '../../identity/member.ts'
import { connectionKeyOf, type MemberAddress, type PeerConnector } from '../connection/connector.ts'
import { type ConnectionResources, failureOfConnection, peerFailure } from '../connection/resources.ts'
import { contentPath } from '../protocol/content-path.ts'
import { failureOfResponse, sizeOfContent } from './response.ts'

export interface ContentClientOptions {
  readonly connector: PeerConnector
  readonly resources: ConnectionResources
  readonly idleMs: number
}

interface Download {
  readonly want: Want
  readonly intake: VouchedIntake
  readonly signal: AbortSignal
  /** How long the member may take to begin its response. */
  readonly ms: number
}

/** Downloads content from other members over HTTP/1.1, on connections of the lanes that are used again. */
export class ContentClient {
  readonly #options: ContentClientOptions
  readonly #client: LaneClient

  constructor(options: ContentClientOptions) {
    this.#options = options
    this.#client = new LaneClient(options.idleMs)
  }

  /** How many connections wait for the next request. */
  get idleCount(): number {
    return this.#client.idleCount
  }

  /**
   * Puts what is missing into the intake, from a member which may still be receiving the content itself. Rejects with a
   * `Failure` when the member fails; the bytes that arrived before stay in the intake.
   */
  async download(member: MemberAddress, download: Download): Promise<void> {
    const { want, intake, signal, ms } = download
    try {
      const response = await this.#client.request({
        key: connectionKeyOf(member),
        text: requestText(want, intake.position),
        signal,
        headMs: ms,
        late: () => peerFailure(member.name, `sent nothing within ${ms} ms`),
        connect: (options) => this.#options.connector.connectForContent(member, options),
      })
      try {
        await this.#receive(member, response, download)
      } finally {
        response.discard()
      }
    } catch (error) {
      signal.throwIfAborted()
      throw failureOfConnection(member.name, error)
    }
  }

  close(reason: Failure): void {
    this.#client.close(reason)
  }

  async #receive(
    { id, name }: MemberAddress,
    response: LaneResponse,
    { intake, signal, ms }: Download,
  ): Promise<void> {
    const { head } = response
    const size = sizeOfContent(head, intake.position)
    if (size === undefined) throw await failureOfResponse(name, response, { signal, ms })
    intake.setContributor({ id, name })
    intake.expect({ size, mediaType: head.headers.get('content-type') })
    const { downloadLimiter: limiter } = this.#options.resources
    const length = size - intake.position
    const sink = await LimitedSink.open(intake, { length, limiter, signal })
    await response.readInto(sink, { skip: 0, signal })
  }
}

function requestText(want: Want, from: number): string {
  const range = from === 0 ? [] : [`range: bytes=${from}-`]
  const lines = [
    `GET ${contentPath(want)} HTTP/1.1`,
    'host: peer',
    `peer-protocol: ${PEER_PROTOCOL}`,
    ...range,
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}
