import type { Digest } from '../../src/oci/digest.ts'
import { type Certificates, makeCertificates } from '../certificates.ts'
import type { BearerRules } from './faulty/auth.ts'
import type { ImageAdded } from './faulty/content.ts'
import type { Fault } from './faulty/faults.ts'
import { RegistryServer } from './faulty/registry-server.ts'
import type { Recorded, Transfer } from './faulty/request-log.ts'

/** A real registry on a free port of 127.0.0.1 that serves from memory and fails on demand. */
export async function startFaultyUpstream({ tls = false } = {}): Promise<FaultyUpstream> {
  const certificates = tls ? makeCertificates() : undefined
  return new FaultyUpstream(await RegistryServer.start(certificates), certificates)
}

export class FaultyUpstream {
  readonly certificates: Certificates | undefined
  /** `127.0.0.1:port`. */
  readonly host: string
  readonly url: string
  /** The second origin, to which `redirect` points. */
  readonly storageHost: string
  readonly #server: RegistryServer

  constructor(server: RegistryServer, certificates: Certificates | undefined) {
    this.#server = server
    this.certificates = certificates
    this.host = server.host
    this.url = server.url
    this.storageHost = server.storageHost
  }

  /** Every request, in the order of arrival. */
  get requests(): readonly Recorded[] {
    return this.#server.log.requests
  }

  get tokensIssued(): number {
    return this.#server.auth.tokensIssued
  }

  /** Added to every answer of the registry. */
  get extraHeaders(): Map<string, string> {
    return this.#server.extraHeaders
  }

  /** When bytes of which digest were on their way, by `performance.now()`; no end: they still are. */
  get transfers(): readonly Transfer[] {
    return this.#server.log.transfers
  }

  /** Whether the referrers API answers (default) or is 404. */
  get referrersApi(): boolean {
    return this.#server.hasReferrersApi
  }

  set referrersApi(hasIt: boolean) {
    this.#server.hasReferrersApi = hasIt
  }

  /** Serves the bytes in every repository. */
  addBlob(bytes: Uint8Array): Digest {
    return this.#server.content.addBlob(bytes)
  }

  /** Serves these blobs in this repository only. */
  keepIn(repo: string, ...digests: readonly Digest[]): void {
    this.#server.content.keepIn(repo, digests)
  }

  addManifest(repo: string, tag: string | undefined, bytes: Uint8Array | string, mediaType?: string): Digest {
    return this.#server.content.addManifest(repo, tag, bytes, mediaType)
  }

  addTag(repo: string, tag: string, digest: Digest): void {
    this.#server.content.addTag(repo, tag, digest)
  }

  /** A config, these layers and a manifest of them. */
  addImage(repo: string, tag: string, layers?: readonly Uint8Array[]): ImageAdded {
    return this.#server.content.addImage(repo, tag, layers)
  }

  /**
   * The target is a path (`/v2/`, `/token`), or its end: a digest, a tag, `tags/list`. A fault that is set later applies
   * when the earlier ones are used up.
   */
  fault(target: string, fault: Fault): void {
    this.#server.faults.set(target, fault)
  }

  /** Takes away the faults of one target, or of all. */
  heal(target?: string): void {
    this.#server.faults.heal(target)
  }

  /**
   * Ends every stall and silence that `fault` has set so far, also for requests that come later: a stall that has not
   * begun is passed over, and a request that would have got no answer is answered.
   */
  release(): void {
    this.#server.faults.release()
  }

  /** Resolves when a request for this target is stalled or silent. */
  stalled(target: string): Promise<void> {
    const { progress, faults } = this.#server
    return progress.until(() => faults.hasStalled(target))
  }

  /** Resolves when this many requests for the target have come. */
  asked(target: string, times = 1): Promise<void> {
    return this.#server.progress.until(() => this.count(target) >= times)
  }

  requireBearer(rules: BearerRules = {}): void {
    this.#server.auth.requireBearer(rules)
  }

  requireBasic(username: string, password: string): void {
    this.#server.auth.requireBasic(username, password)
  }

  requireNothing(): void {
    this.#server.auth.requireNothing()
  }

  /** Body bytes sent under a digest, over all requests. */
  bytesSent(digest: string): number {
    return this.#server.log.bytesSent(digest)
  }

  /** How many requests there were for the target. */
  count(target: string, method?: string): number {
    return this.#server.log.count(target, method)
  }

  close(): Promise<void> {
    return this.#server.close()
  }
}
