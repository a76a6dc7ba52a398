import { createReadStream } from 'node:fs'
import { errorCode } from '../../lib/error-code.ts'
import { type JournalRecord, nameIn, parseRecord } from './record.ts'

/** A record with an inline content of 64 KiB is shorter. Only a damaged journal has longer lines. */
const MOST_LINE_CHARS = 256 * 1024

/** Reads the records of a journal in order, and leaves out what is damaged. Without a journal there are none. */
export async function* readJournal(path: string): AsyncGenerator<JournalRecord> {
  const stream = createReadStream(path, { encoding: 'utf8', highWaterMark: 256 * 1024 })
  let rest = ''
  try {
    for await (const text of stream) {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > MOST_LINE_CHARS) rest = rest.slice(-MOST_LINE_CHARS)
      for (const line of lines) {
        const record = parseRecord(line)
        if (record !== undefined) yield record
      }
    }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  } finally {
    stream.destroy()
  }
}

/**
 * Gives only the last record of each link and each tag. The journal is read twice, so that no more than names is in memory; it
 * must not change meanwhile.
 */
export async function* readLastRecords(path: string): AsyncGenerator<JournalRecord> {
  const lastAt = new Map<string, number>()
  let count = 0
  for await (const record of readJournal(path)) lastAt.set(nameIn(record), count++)
  let at = 0
  for await (const record of readJournal(path)) if (lastAt.get(nameIn(record)) === at++) yield record
}
