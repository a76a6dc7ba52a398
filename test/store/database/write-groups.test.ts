import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Deferred } from '../../../src/lib/async/deferred.ts'
import type { BatchWrite } from '../../../src/store/database/database.ts'
import { WriteGroups } from '../../../src/store/database/write-groups.ts'

/** Groups whose writes end when the test says so. */
function open() {
  const written: string[][] = []
  const ends: Deferred<void>[] = []
  const groups = new WriteGroups((operations) => {
    const end = new Deferred<void>()
    written.push(operations.map(({ key }) => key))
    ends.push(end)
    return end.promise
  })
  return { groups, written, ends }
}

function put(...keys: string[]): BatchWrite[] {
  return keys.map((key) => ({ type: 'put', key, value: '' }))
}

test('writes of one turn, and those that come during a write, are one batch each, in the order of their calls', async () => {
  const { groups, written, ends } = open()
  const done: string[] = []
  const write = (name: string, ...keys: string[]): Promise<void> =>
    groups.write(put(...keys)).then(() => void done.push(name))
  const first = [write('a', '1', '2'), write('b', '3')]
  await turn()
  assert.deepEqual(written, [['1', '2', '3']])
  const second = [write('c', '4'), write('d', '5')]
  await turn()
  assert.equal(written.length, 1, 'one write at a time')
  ends[0]?.resolve()
  await Promise.all(first)
  assert.deepEqual(done, ['a', 'b'])
  await turn()
  assert.deepEqual(written[1], ['4', '5'])
  ends[1]?.resolve()
  await Promise.all(second)
  const last = write('e', '6')
  await turn()
  ends[2]?.resolve()
  await last
  assert.deepEqual(done, ['a', 'b', 'c', 'd', 'e'])
})

test('a group that fails fails for all of it, and for no other one', async () => {
  const { groups, ends } = open()
  const first = [groups.write(put('1')), groups.write(put('2'))]
  await turn()
  const next = groups.write(put('3'))
  ends[0]?.reject(new Error('the disk is full'))
  for (const each of first) await assert.rejects(each, /full/)
  await turn()
  ends[1]?.resolve()
  await next
})

test('a group has at most 64 writes', async () => {
  const { groups, written, ends } = open()
  const all = Array.from({ length: 65 }, (_, at) => groups.write(put(`${at}`)))
  await turn()
  ends[0]?.resolve()
  await Promise.all(all.slice(0, 64))
  await turn()
  ends[1]?.resolve()
  await Promise.all(all)
  assert.deepEqual(
    written.map(({ length }) => length),
    [64, 1],
  )
})

test('it is idle when all writes have ended, also those that have failed', async () => {
  const { groups, ends } = open()
  await groups.idle()
  const failed = assert.rejects(groups.write(put('1')))
  let isIdle = false
  const idle = groups.idle().then(() => {
    isIdle = true
  })
  await turn()
  assert.equal(isIdle, false)
  ends[0]?.reject(new Error('broken'))
  await Promise.all([failed, idle])
})
