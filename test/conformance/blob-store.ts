import type { OpenStore } from './blob-steps.ts'
import { describeIncoming } from './incoming.ts'
import { describePassThrough } from './pass-through.ts'
import { describeStoredBlobs } from './stored-blobs.ts'
import { describeTruncation } from './truncation.ts'

/** Tests that a blob store keeps the contract of its port. Calls `open` once for each part of the suite. */
export function blobStoreSuite(name: string, open: OpenStore): void {
  describeStoredBlobs(name, open)
  describeIncoming(name, open)
  describeTruncation(name, open)
  describePassThrough(name, open)
}
