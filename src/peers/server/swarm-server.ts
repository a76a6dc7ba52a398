import type { Repository } from '../../oci/names/repository.ts'
import { Failure } from '../../ports/failure.ts'
import type { PeerTransfers } from '../client/peer-transfers.ts'
import type { TagRequests } from '../client/tag-requests.ts'
import type { PeerCredentials } from '../identity/credentials.ts'
import type { Membership } from '../membership/membership.ts'
import { answerWarming } from '../sharing/answer-warming.ts'
import type { Tracker } from '../tracker/tracker.ts'
import type { PeerStats } from '../transfer/peer-stats.ts'
import { serveContent } from '../transfer/serve.ts'
import type { ConnectionResources } from '../wire/connection/resources.ts'
import type { ContentUpload } from '../wire/content/content-upload.ts'
import type { PeerExchange } from '../wire/control/exchange.ts'
import { PeerServer } from '../wire/peer-server.ts'
import { PeerRequest, parseMessage, refusedMessage } from '../wire/protocol/messages.ts'
import { answerFollow } from './answer-follow.ts'
import { answerHas } from './answer-has.ts'
import { answerTag } from './answer-tag.ts'
import type { LocalNode } from './local-node.ts'

export interface SwarmServerOptions {
  readonly listen: { readonly host: string; readonly port: number }
  readonly credentials: PeerCredentials
  readonly resources: ConnectionResources
  /** How long a participant may be silent in a tracker session. */
  readonly trackerSilenceMs?: number | undefined
}

/** What the requests of peers are answered with. */
export interface SwarmServices {
  readonly node: LocalNode
  readonly membership: Membership
  readonly tracker: Tracker
  readonly transfers: PeerTransfers
  readonly tags: TagRequests
  readonly stats: PeerStats
}

/** Answers the requests of other members. From `start` to `serve` it listens, and refuses every request with `busy`. */
export class SwarmServer {
  readonly #server: PeerServer
  readonly #trackerSilenceMs: number | undefined
  #services: SwarmServices | undefined

  constructor({ listen, credentials, resources, trackerSilenceMs }: SwarmServerOptions) {
    this.#trackerSilenceMs = trackerSilenceMs
    this.#server = new PeerServer({
      listen,
      credentials,
      resources,
      memberOf: ({ id, fingerprint }) => {
        const member = id === undefined ? undefined : this.#services?.membership.get(id)
        return member?.fingerprint === fingerprint ? member : undefined
      },
      onExchange: (message, exchange) => this.#answer(message, exchange),
      onContent: (upload) => this.#serve(upload),
    })
  }

  /** Resolves with the address on which the server listens. */
  start(): Promise<{ host: string; port: number }> {
    return this.#server.start()
  }

  serve(services: SwarmServices): void {
    this.#services = services
  }

  /** Accepts no more requests, and lets exchanges under way end for `drainMs`. */
  stop({ drainMs }: { drainMs: number }): Promise<void> {
    return this.#server.stop({ drainMs })
  }

  async #answer(message: unknown, exchange: PeerExchange): Promise<void> {
    try {
      const request = parseMessage(PeerRequest, message, exchange.peerName)
      await this.#dispatch(request, exchange, this.#started())
    } catch (error) {
      exchange.send(refusedMessage(error))
    }
  }

  async #serve(upload: ContentUpload): Promise<void> {
    const { node, stats } = this.#started()
    await serveContent(upload, { localContent: node.localContent, peerStats: stats })
  }

  #started(): SwarmServices {
    if (this.#services === undefined) throw new Failure('busy', 'this node is still starting')
    return this.#services
  }

  async #dispatch(request: PeerRequest, exchange: PeerExchange, services: SwarmServices): Promise<void> {
    const { node, membership, tracker, transfers, tags } = services
    const { localContent } = node
    switch (request.ask) {
      case 'follow':
        assertAllowed(request.repository, node)
        return await answerFollow(request, exchange, {
          selfId: membership.self.id,
          tracker,
          transfers,
          silenceMs: this.#trackerSilenceMs,
        })
      case 'has':
        if (request.as !== null) assertAllowed(request.as.repository, node)
        return await answerHas(request, exchange, localContent)
      case 'tag':
        assertAllowed(request.repository, node)
        return await answerTag(request, exchange, { node, tags })
      case 'warm':
        return await answerWarming(request, exchange, node.warm)
      case 'activity':
        exchange.send({ is: 'activity', activity: await node.activity() })
    }
  }
}

function assertAllowed(repository: Repository, node: LocalNode): void {
  if (!node.isAllowed(repository)) throw new Failure('denied', 'this node does not serve that repository')
}
