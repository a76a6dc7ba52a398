import assert from 'node:assert/strict'
import { appendFile, mkdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { HostedJournal } from '../../../src/store/journal/journal.ts'
import { readJournal, readLastRecords } from '../../../src/store/journal/read-journal.ts'
import { encodeRecord, type JournalRecord } from '../../../src/store/journal/record.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { digestOf } from '../../../testkit/memory/digests.ts'
import { all, folder } from '../folder.ts'

const repository = { registry: 'localhost', name: 'team/app' }

function untag(tag: string): JournalRecord {
  return { do: 'untag', repository, tag, at: 1 }
}

async function tagsIn(path: string): Promise<string[]> {
  return (await all(readJournal(path))).map((record) => (record.do === 'untag' ? record.tag : ''))
}

async function* listed(...tags: string[]): AsyncGenerator<JournalRecord> {
  for (const tag of tags) yield untag(tag)
}

async function journalIn(t: TestContext): Promise<HostedJournal> {
  const journal = new HostedJournal(join(await folder(t), 'hosted'))
  addCleanup(t, () => journal.close())
  return journal
}

test('records stand in the order in which they were appended, also behind those of the last run', async (t) => {
  const journal = await journalIn(t)
  await journal.resume(0)
  for (const tag of ['a', 'b', 'c']) journal.append([untag(tag)])
  await journal.close()
  assert.equal(journal.isComplete, true)
  // The last run was killed in the middle of a line.
  await appendFile(journal.path, '{"do":"unt\n')
  const next = new HostedJournal(journal.path)
  await next.resume(journal.baseSize)
  next.append([untag('d'), untag('e')])
  await next.close()
  assert.deepEqual(await tagsIn(journal.path), ['a', 'b', 'c', 'd', 'e'])
  assert.deepEqual(await tagsIn(`${journal.path}-none`), [])
})

test('what is appended while the journal is written again stands behind that', async (t) => {
  const journal = await journalIn(t)
  await journal.resume(0)
  journal.append([untag('before')])
  await journal.rewrite(async function* () {
    journal.append([untag('meanwhile')])
    yield* listed('again')
    journal.append([untag('too')])
  })
  journal.append([untag('after')])
  await journal.close()
  assert.deepEqual(await tagsIn(journal.path), ['again', 'meanwhile', 'too', 'after'])
})

test('the old journal stays when a new one cannot be written', async (t) => {
  const journal = await journalIn(t)
  await journal.resume(0)
  journal.append([untag('a')])
  const failing = journal.rewrite(async function* () {
    yield* listed('x')
    throw new Error('the index cannot be read')
  })
  await assert.rejects(failing, /cannot be read/)
  journal.append([untag('b')])
  await journal.close()
  assert.deepEqual(await tagsIn(journal.path), ['a', 'b'])
  await assert.rejects(stat(`${journal.path}.new`), { code: 'ENOENT' })
})

test('a new journal that has missed too many changes does not replace the old one', async (t) => {
  const journal = await journalIn(t)
  await journal.resume(0)
  const long = untag('x'.repeat(9 * 1024 * 1024))
  const missing = journal.rewrite(async function* () {
    for (let at = 0; at < 2; at++) {
      journal.append([long])
      // The old journal takes each before the next one comes.
      await journal.close()
    }
    yield* listed('new')
  })
  await assert.rejects(missing, /too much has changed/)
  assert.equal(journal.isComplete, true)
  assert.equal((await stat(journal.path)).size > 18 * 1024 * 1024, true)
})

test('a journal that cannot be written is due, and complete once it is written again', async (t) => {
  const journal = await journalIn(t)
  await mkdir(journal.path)
  await journal.resume(0)
  assert.equal(journal.isDue, false)
  journal.append([untag('a')])
  await journal.close()
  assert.deepEqual([journal.isComplete, journal.isDue], [false, true])
  await rm(journal.path, { recursive: true })
  await journal.rewrite(() => listed('a'))
  assert.deepEqual([journal.isComplete, journal.isDue], [true, false])
  assert.deepEqual(await tagsIn(journal.path), ['a'])
})

test('a journal that has become much longer than it was is due', async (t) => {
  const journal = await journalIn(t)
  await journal.resume(0)
  const long = untag('x'.repeat(1024 * 1024))
  for (let at = 0; at < 5; at++) journal.append([long])
  await journal.close()
  assert.equal(journal.isDue, true)
  await journal.rewrite(() => listed('a'))
  assert.equal(journal.isDue, false)
  assert.equal((await readFile(journal.path)).length, journal.baseSize)
})

test('the last record of each link and each tag is read alone, also that of a removal', async (t) => {
  const journal = await journalIn(t)
  await journal.resume(0)
  const digest = digestOf(Buffer.from('a'))
  const tag = (name: string, pushedAt: number): JournalRecord => {
    return { do: 'tag', repository, tag: name, digest, mediaType: undefined, pushedAt }
  }
  const other = { ...untag('b'), repository: { ...repository, name: 'team/other' } }
  const link: JournalRecord = {
    do: 'link',
    repository,
    digest,
    kind: 'blob',
    mediaType: undefined,
    bytes: undefined,
  }
  const last = [other, untag('a'), { ...link, kind: 'manifest' }, tag('b', 2)] as const
  journal.append([tag('a', 1), link, untag('b'), ...last])
  await journal.close()
  const read = (await all(readLastRecords(journal.path))).map(encodeRecord)
  assert.deepEqual(read, last.map(encodeRecord))
  assert.deepEqual(await all(readLastRecords(`${journal.path}-none`)), [])
})
