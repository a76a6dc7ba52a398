import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AgentSeen } from '../../../src/doctor/checks/agent.ts'
import { dataFolder, judgeData, seeFolder } from '../../../src/doctor/checks/data.ts'
import { statusOf } from '../status.ts'
import { told } from '../told.ts'

const GIB = 1024 ** 3
const NOBODY: AgentSeen = { kind: 'nobody', why: 'connection refused' }
const SPACE = { total: 100 * GIB, free: 60 * GIB, inodes: 1_000_000, freeInodes: 900_000 }
const folder = (space: Partial<typeof SPACE>) => ({
  kind: 'folder' as const,
  access: 'writable' as const,
  space: { ...SPACE, ...space },
})

function agentWith(store: { bytes: number; limitBytes: number }): AgentSeen {
  return { kind: 'agent', status: { ...statusOf({ data: '/data' }), store }, aheadMs: 0 }
}

test('a folder, a file and nothing at all are told apart', async (t) => {
  const path = await mkdtemp(join(tmpdir(), 'leat-doctor-'))
  t.after(() => rm(path, { recursive: true }))
  const seen = await seeFolder(path)
  const context = { path, agent: NOBODY, maxBytes: { percent: 80 } }
  assert.equal(told(judgeData(seen, context))[0], `ok: there is a data folder, ${path}, which can be written`)
  const file = join(path, 'file')
  await writeFile(file, '')
  assert.deepEqual(told(judgeData(await seeFolder(file), { ...context, path: file })), [
    `problem: ${file} is not a folder`,
  ])
  const none = join(path, 'none')
  assert.deepEqual(told(judgeData(await seeFolder(none), { ...context, path: none })), [
    `not-looked-at: ${none} is not there yet; agent serve makes it`,
  ])
  const running = { ...context, path: none, agent: agentWith({ bytes: 0, limitBytes: GIB }) }
  assert.match(
    told(judgeData(await seeFolder(none), running))[0] ?? '',
    /^not-looked-at: .* but the agent runs/,
  )
})

test('the agent’s own word for its folder counts, when it can be understood from here', () => {
  const said = (data: string): AgentSeen => ({ kind: 'agent', status: statusOf({ data }), aheadMs: 0 })
  assert.equal(dataFolder(said('/var/lib/leat'), { data: './.leat' }), '/var/lib/leat')
  assert.equal(dataFolder(said('./.leat'), { data: '/somewhere' }), '/somewhere')
  assert.equal(dataFolder(NOBODY, { data: '/somewhere' }), '/somewhere')
})

test('what this user cannot see is said to be so, and a filesystem that is read-only is a problem', () => {
  const context = { path: '/data', agent: NOBODY, maxBytes: { percent: 80 } }
  assert.deepEqual(told(judgeData({ kind: 'hidden' }, context)), [
    'not-looked-at: /data is closed to this user',
  ])
  const [closed] = judgeData({ ...folder({}), access: 'unknown' }, context)
  assert.equal(closed?.state, 'not-looked-at')
  const [readOnly] = judgeData({ ...folder({}), access: 'read-only' }, context)
  assert.equal(readOnly?.state, 'problem')
})

test('space runs short by steps, and against what is promised', () => {
  const context = { path: '/data', agent: NOBODY, maxBytes: { percent: 80 } }
  const table: readonly (readonly [Partial<typeof SPACE>, string])[] = [
    [{}, 'ok: 60.0 GiB of 100.0 GiB are free at /data; the store may hold up to 80.0 GiB'],
    [{ free: 4 * GIB }, 'warning: the disk is nearly full: 4.0 GiB of 100.0 GiB are free at /data'],
    [{ free: 1024 }, 'problem: the disk is full: 1.0 KiB of 100.0 GiB are free at /data'],
    [{ freeInodes: 30_000 }, 'warning: the filesystem of /data has few inodes left (30000)'],
    [{ freeInodes: 3 }, 'problem: the filesystem of /data has no inodes left'],
    // Some filesystems do not count them.
    [
      { inodes: 0, freeInodes: 0 },
      'ok: 60.0 GiB of 100.0 GiB are free at /data; the store may hold up to 80.0 GiB',
    ],
  ]
  for (const [space, expected] of table) {
    assert.equal(told(judgeData(folder(space), context))[1], expected)
  }
  const agent = agentWith({ bytes: 10 * GIB, limitBytes: 90 * GIB })
  const promised = judgeData(folder({}), { ...context, agent, maxBytes: { bytes: 90 * GIB } })[1]
  assert.equal(promised?.state, 'warning')
  assert.match(promised.todo ?? '', /less than 70\.0 GiB/)
  const [, share] = judgeData(folder({}), { ...context, agent })
  assert.equal(share?.state, 'ok')
})
