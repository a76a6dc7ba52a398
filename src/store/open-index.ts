import { publish } from '../observe/events.ts'
import type { Digest } from '../oci/digest.ts'
import { forgetJournalState, journalState } from './care/journal-care.ts'
import { type ReconcileResult, reconcile } from './care/recover.ts'
import { restoreHosted } from './care/restore-hosted.ts'
import {
  isDamage,
  type OpenedDatabase,
  openDatabase,
  rebuildDatabase,
  repairDatabase,
} from './database/open-database.ts'
import { removeRepairMark } from './database/repair-mark.ts'
import { BlobFiles } from './files/blob-files.ts'
import { diskFailure, type Layout } from './files/layout.ts'
import { BlobIndex } from './index/blob-index.ts'
import type { HostedJournal } from './journal/journal.ts'

/**
 * Opens the index and makes it agree with the files. Damage may show only when the index is read: then it is mended. What is
 * hosted comes back from the journal into an index that was mended, or that somebody has removed.
 */
export async function openIndex(
  layout: Layout,
  journal: HostedJournal,
): Promise<OpenedDatabase & { index: BlobIndex; reconciled: ReconcileResult }> {
  const blobFiles = new BlobFiles(layout)
  let { database, isMended } = await openDatabase(layout)
  for (const mend of [repairDatabase, rebuildDatabase, undefined]) {
    try {
      // A start that ends before what is hosted has come back is repeated by the next one.
      if (isMended) {
        await forgetJournalState(database)
        await removeRepairMark(layout)
      }
      if (isMended || (await journalState(database)) === undefined) {
        if ((await restoreHosted(database, journal.path)) > 0) isMended = true
      }
      const index = new BlobIndex(database, journal)
      const reconciled = await reconcile(index, blobFiles)
      await loadLinks(index, reconciled)
      return { database, isMended, index, reconciled }
    } catch (error) {
      await database.close()
      if (mend === undefined || !isDamage(error)) throw diskFailure(`cannot read ${layout.index}`, error)
      database = await mend(layout, error)
      isMended = true
    }
  }
  throw new Error('the last pass of the loop returns or throws')
}

/** Counts the links, and tells which hosted contents are not stored any more. Files that are unknown yet are adopted later. */
async function loadLinks(index: BlobIndex, { unknownFiles }: ReconcileResult): Promise<void> {
  const unknown = new Set(unknownFiles)
  const lost: Digest[] = []
  await index.links.load(
    async (digests) => (await index.getMany(digests)).map((entry) => entry?.size),
    (digest) => lost.push(digest),
  )
  for (const digest of lost) if (!unknown.has(digest)) await tellLost(index, digest)
}

/** Tells that a content is lost, if it is hosted. */
export async function tellLost(index: BlobIndex, digest: Digest): Promise<void> {
  const repositories = await index.links.repositoriesOf(digest)
  if (repositories.length > 0) publish('hosted.lost', { digest, repositories })
}
