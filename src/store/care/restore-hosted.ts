import { algorithmOf, type Digest, digestOf } from '../../oci/digest.ts'
import { childrenOf, parseManifest } from '../../oci/manifest.ts'
import { PUSHED } from '../../ports/hosted/hosted-store.ts'
import type { Database } from '../database/database.ts'
import { BlobIndex } from '../index/blob-index.ts'
import { decodeLink, encodeLink } from '../index/hosted/hosted-link.ts'
import { decodeTag, encodeTag } from '../index/hosted/hosted-tag.ts'
import { hostedTagKey, linkedKey, linkKey, pulledKey } from '../index/hosted/keys.ts'
import { readLastRecords } from '../journal/read-journal.ts'
import type { JournalRecord } from '../journal/record.ts'

/**
 * Brings what is hosted back into an index that was mended, from the journal: links, tags and inline contents. A repaired index
 * may have what the journal lacks, which is written after it: what is newer in the index stays. A link comes back young, and a
 * tag as if it had just been pulled, so that no rule removes it for what the journal does not know. To be called before the
 * entries are counted. Gives for how many links and tags there were records.
 */
export async function restoreHosted(database: Database, journalPath: string): Promise<number> {
  const index = new BlobIndex(database)
  const now = Date.now()
  let count = 0
  for await (const record of readLastRecords(journalPath)) {
    count += 1
    if (record.do === 'link' && record.bytes !== undefined)
      await restoreInline(index, record, record.bytes, now)
    await ('tag' in record ? restoreTag(database, record, now) : restoreLink(database, record, now))
  }
  return count
}

async function restoreLink(
  database: Database,
  record: Extract<JournalRecord, { do: 'link' | 'unlink' }>,
  now: number,
): Promise<void> {
  const { repository, digest } = record
  const key = linkKey(repository, digest)
  const known = decodeLink(digest, (await database.get(key)) ?? '')
  const batch = database.batch()
  if (record.do === 'link') {
    const { kind, mediaType } = record
    if (known === undefined) batch.put(key, encodeLink({ kind, mediaType, linkedAt: now }))
    batch.put(linkedKey(digest, repository), '')
  } else if (known === undefined || known.linkedAt < record.at) {
    batch.del(key).del(linkedKey(digest, repository))
  }
  await batch.write()
}

async function restoreTag(
  database: Database,
  record: Extract<JournalRecord, { do: 'tag' | 'untag' }>,
  now: number,
): Promise<void> {
  const { repository, tag } = record
  const key = hostedTagKey(repository, tag)
  const known = decodeTag((await database.get(key)) ?? '')
  const batch = database.batch()
  if (record.do === 'tag') {
    if (known === undefined || known.pushedAt < record.pushedAt) batch.put(key, encodeTag(record))
    batch.put(pulledKey(repository, tag), String(now))
  } else if (known === undefined || known.pushedAt < record.at) {
    batch.del(key).del(pulledKey(repository, tag))
  }
  await batch.write()
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
