import type { Repository } from '../../oci/names/repository.ts'
import type { LocalContent } from '../../ports/local-content.ts'
import type { TagHead, TagRequestOptions } from '../../ports/registry.ts'
import type { ActivityReport } from '../../schemas/peer-report.ts'
import type { WarmImages } from '../sharing/warm-exchange.ts'

/** What peers may ask of this node. */
export interface LocalNode {
  readonly localContent: LocalContent
  /** Gives what a tag refers to, as this node serves it. Asks upstream if necessary. */
  tag(repository: Repository, tag: string, options: TagRequestOptions): Promise<TagHead>
  /** The settings allow pulls from the repository. */
  isAllowed(repository: Repository): boolean
  readonly warm: WarmImages
  /** What this node does now. */
  activity(): Promise<ActivityReport>
}
