import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createAgent } from '../../../src/agent.ts'
import { checkImports, judgeImports } from '../../../src/doctor/checks/imports.ts'
import { findingLines } from '../finding-lines.ts'

const AT = '2026-01-01T00:00:00.000Z'
const image = {
  repository: 'docker.io/acme/app',
  tag: 'v1',
  state: 'whole',
  checkedAt: AT,
  importedAt: AT,
} as const
const ANY = { host: '127.0.0.1', port: 0 }
const signal = new AbortController().signal

test('imported images can be pulled without a registry as long as they are whole', () => {
  const { importedAt: _, ...pulled } = image
  assert.deepEqual(judgeImports([pulled]), [])
  const confirmed = { ...image, checkedAt: '2026-01-02T00:00:00.000Z' }
  assert.match(
    String(findingLines(judgeImports([image, confirmed]))),
    /2 imported tags can be pulled .*; no registry has confirmed 1 of them/,
  )
  const partial = { ...image, state: 'partial' } as const
  const [finding] = judgeImports([image, partial])
  assert.equal(finding?.state, 'warning')
  assert.match(finding?.found ?? '', /parts of docker\.io\/acme\/app:v1 were evicted or removed/)
  assert.match(judgeImports(Array(5).fill(partial))[0]?.found ?? '', /and 2 more images were/)
})

test('the agent is asked for its images', async (t) => {
  const data = await mkdtemp(join(tmpdir(), 'leat-doctor-'))
  t.after(() => rm(data, { recursive: true }))
  const agent = createAgent({ data, listen: ANY, admin: ANY })
  await agent.start()
  const admin = agent.addresses.admin ?? ANY
  assert.deepEqual(await checkImports(admin, { signal }), [])
  await agent.stop({ drainMs: 0 })
  assert.equal((await checkImports(admin, { signal }))[0]?.state, 'not-checked')
})
