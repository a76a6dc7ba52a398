import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AgentAnswer } from '../../../src/doctor/checks/agent.ts'
import { dataFolder, inspectFolder, judgeData } from '../../../src/doctor/checks/data.ts'
import { agentStatus } from '../agent-status.ts'
import { findingLines } from '../finding-lines.ts'

const GIB = 1024 ** 3
const NO_AGENT: AgentAnswer = { kind: 'no-answer', why: 'connection refused' }
const SPACE = { total: 100 * GIB, free: 60 * GIB, inodes: 1_000_000, freeInodes: 900_000 }
const folder = (space: Partial<typeof SPACE>) => ({
  kind: 'folder' as const,
  access: 'writable' as const,
  space: { ...SPACE, ...space },
})

function agentWith(store: { bytes: number; limitBytes: number }): AgentAnswer {
  return { kind: 'agent', status: { ...agentStatus({ data: '/data' }), store }, aheadMs: 0 }
}

test('a data folder is ok, a file is a problem, and a missing folder is not checked', async (t) => {
  const path = await mkdtemp(join(tmpdir(), 'leat-doctor-'))
  t.after(() => rm(path, { recursive: true }))
  const state = await inspectFolder(path)
  const context = { path, agent: NO_AGENT, maxBytes: { percent: 80 } }
  assert.equal(findingLines(judgeData(state, context))[0], `ok: the data folder ${path} is writable`)
  const file = join(path, 'file')
  await writeFile(file, '')
  assert.deepEqual(findingLines(judgeData(await inspectFolder(file), { ...context, path: file })), [
    `problem: ${file} is not a folder`,
  ])
  const none = join(path, 'none')
  assert.deepEqual(findingLines(judgeData(await inspectFolder(none), { ...context, path: none })), [
    `not-checked: ${none} does not exist yet; agent serve creates it`,
  ])
  const running = { ...context, path: none, agent: agentWith({ bytes: 0, limitBytes: GIB }) }
  assert.match(
    findingLines(judgeData(await inspectFolder(none), running))[0] ?? '',
    /^not-checked: .* but the agent runs/,
  )
})

test('the folder that the agent reports counts if its path is absolute', () => {
  const reporting = (data: string): AgentAnswer => ({
    kind: 'agent',
    status: agentStatus({ data }),
    aheadMs: 0,
  })
  assert.equal(dataFolder(reporting('/var/lib/leat'), { data: './.leat' }), '/var/lib/leat')
  assert.equal(dataFolder(reporting('./.leat'), { data: '/somewhere' }), '/somewhere')
  assert.equal(dataFolder(NO_AGENT, { data: '/somewhere' }), '/somewhere')
})

test('what this user may not access is not checked, and a read-only filesystem is a problem', () => {
  const context = { path: '/data', agent: NO_AGENT, maxBytes: { percent: 80 } }
  assert.deepEqual(findingLines(judgeData({ kind: 'inaccessible' }, context)), [
    'not-checked: this user may not access /data',
  ])
  const [closed] = judgeData({ ...folder({}), access: 'unknown' }, context)
  assert.equal(closed?.state, 'not-checked')
  const [readOnly] = judgeData({ ...folder({}), access: 'read-only' }, context)
  assert.equal(readOnly?.state, 'problem')
})

test('low space is a warning, then a problem, and so is a limit that exceeds the space', () => {
  const context = { path: '/data', agent: NO_AGENT, maxBytes: { percent: 80 } }
  const table: readonly (readonly [Partial<typeof SPACE>, string])[] = [
    [{}, 'ok: 60.0 GiB of 100.0 GiB are free at /data; the store may hold up to 80.0 GiB'],
    [{ free: 4 * GIB }, 'warning: the disk is nearly full: 4.0 GiB of 100.0 GiB are free at /data'],
    [{ free: 1024 }, 'problem: the disk is full: 1.0 KiB of 100.0 GiB are free at /data'],
    [{ freeInodes: 30_000 }, 'warning: the filesystem of /data has few inodes left (30000)'],
    [{ freeInodes: 3 }, 'problem: the filesystem of /data has no inodes left'],
    // Some filesystems do not count inodes.
    [
      { inodes: 0, freeInodes: 0 },
      'ok: 60.0 GiB of 100.0 GiB are free at /data; the store may hold up to 80.0 GiB',
    ],
  ]
  for (const [space, expected] of table) {
    assert.equal(findingLines(judgeData(folder(space), context))[1], expected)
  }
  const agent = agentWith({ bytes: 10 * GIB, limitBytes: 90 * GIB })
  const promised = judgeData(folder({}), { ...context, agent, maxBytes: { bytes: 90 * GIB } })[1]
  assert.equal(promised?.state, 'warning')
  assert.match(promised.todo ?? '', /less than 70\.0 GiB/)
  const [, share] = judgeData(folder({}), { ...context, agent })
  assert.equal(share?.state, 'ok')
})
