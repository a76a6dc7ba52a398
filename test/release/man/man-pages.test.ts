import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { manPages } from '../../../release/man/man-pages.ts'
import { COMMANDS } from '../../../src/cli/command-list.ts'
import { requirePrograms, run } from '../../../testkit/programs.ts'

test('there is a page for the program under both names, and for each command with all its flags', async () => {
  const pages = await manPages('1.2.3')
  assert.deepEqual([...pages.keys()], ['leat.1', 'agent.1', ...COMMANDS.map(({ name }) => `leat-${name}.1`)])
  for (const { name, load } of COMMANDS) {
    const page = pages.get(`leat-${name}.1`) ?? assert.fail()
    for (const flag of (await load()).flags) {
      assert.ok(page.includes(`\\fB\\-\\-${flag.name.replaceAll('-', '\\-')}\\fR`), `${name} --${flag.name}`)
    }
  }
  assert.match(pages.get('leat.1') ?? '', /\.B LEAT_MAX_BYTES\n/)
})

test('groff formats every page without a warning', async (t) => {
  const programs = requirePrograms(t, ['groff'])
  if (programs === undefined) return
  const folder = await mkdtemp(join(tmpdir(), 'leat-man-'))
  t.after(() => rm(folder, { recursive: true }))
  for (const [name, text] of await manPages('1.2.3')) {
    if (text.startsWith('.so ')) continue
    const path = join(folder, name)
    await writeFile(path, text)
    const { stdout, stderr } = await run(programs.groff, ['-man', '-Tutf8', '-ww', '-z', path])
    assert.equal(stderr, '', name)
    assert.equal(stdout, '')
  }
})
