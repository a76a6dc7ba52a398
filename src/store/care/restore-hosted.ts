import { algorithmOf, type Digest, digestOf } from '../../oci/digest.ts'
import { childrenOf, parseManifest } from '../../oci/manifest.ts'
import { PUSHED } from '../../ports/hosted/hosted-store.ts'
import type { Database } from '../database/database.ts'
import { BlobIndex } from '../index/blob-index.ts'
import { encodeLink } from '../index/hosted/hosted-link.ts'
import { encodeTag } from '../index/hosted/hosted-tag.ts'
import { hostedTagKey, linkedKey, linkKey, pulledKey } from '../index/hosted/keys.ts'
import { readJournal } from '../journal/read-journal.ts'
import type { JournalRecord } from '../journal/record.ts'

/**
 * Brings what is hosted back into an index that was mended, from the journal: links, tags and inline contents. A link comes back
 * young, and a tag as if it had just been pulled, so that no rule removes it for what the journal does not know. To be called
 * before the entries are counted. Gives how many records there were.
 */
export async function restoreHosted(database: Database, journalPath: string): Promise<number> {
  const index = new BlobIndex(database)
  const now = Date.now()
  let count = 0
  for await (const record of readJournal(journalPath)) {
    count += 1
    if (record.do === 'link' && record.bytes !== undefined)
      await restoreInline(index, record, record.bytes, now)
    const batch = database.batch()
    const { repository } = record
    if (record.do === 'link') {
      const { digest, kind, mediaType } = record
      batch.put(linkKey(repository, digest), encodeLink({ kind, mediaType, linkedAt: now }))
      batch.put(linkedKey(digest, repository), '')
    } else if (record.do === 'tag') {
      batch.put(hostedTagKey(repository, record.tag), encodeTag(record))
      batch.put(pulledKey(repository, record.tag), String(now))
    } else if (record.do === 'unlink') {
      batch.del(linkKey(repository, record.digest)).del(linkedKey(record.digest, repository))
    } else batch.del(hostedTagKey(repository, record.tag)).del(pulledKey(repository, record.tag))
    await batch.write()
  }
  return count
}

/** Stores an inline content that the index lacks or has damaged, if the bytes are what its digest says. */
async function restoreInline(
  index: BlobIndex,
  { digest, mediaType }: Extract<JournalRecord, { do: 'link' }>,
  bytes: Uint8Array,
  storedAt: number,
): Promise<void> {
  if (digestOf(bytes, algorithmOf(digest)) !== digest || (await hasContent(index, digest))) return
  const parsed = parseManifest(bytes, mediaType)
  await index.put(
    {
      digest,
      size: bytes.length,
      kind: 'manifest',
      mediaType,
      origin: PUSHED,
      storedAt,
      isInline: true,
    },
    {
      references: parsed.ok ? childrenOf(parsed.value).map((child) => child.digest) : [],
      subject: parsed.ok ? parsed.value.subject?.digest : undefined,
      repository: undefined,
      bytes,
    },
    { sync: false },
  )
}

/** An entry is no proof of an inline content: a repair may lose its bytes alone. The other contents are files. */
async function hasContent(index: BlobIndex, digest: Digest): Promise<boolean> {
  const entry = await index.get(digest)
  if (!entry?.isInline) return entry !== undefined
  const bytes = await index.bytes(digest)
  return bytes !== undefined && digestOf(bytes, algorithmOf(digest)) === digest
}
