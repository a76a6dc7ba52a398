import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { exitProgram } from '../../src/check-image/exit-program.ts'
import { tryRun } from '../../testkit/programs.ts'

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

test('the program of this architecture runs and succeeds', async (t) => {
  const architecture = ARCHITECTURES[process.arch]
  if (architecture === undefined) return t.skip(`there is no program for ${process.arch}`)
  const folder = await mkdtemp(join(tmpdir(), 'leat-exit-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'exit')
  await writeFile(path, exitProgram(architecture))
  await chmod(path, 0o755)
  assert.equal((await tryRun(path, [])).code, 0)
})

test('every program is an ELF file of its architecture, and others are empty', () => {
  for (const [architecture, machine] of [
    ['amd64', 0x3e],
    ['arm64', 0xb7],
  ] as const) {
    const program = Buffer.from(exitProgram(architecture))
    assert.equal(program.toString('latin1', 0, 4), '\x7fELF')
    assert.equal(program.readUInt16LE(18), machine)
    assert.equal(program.readBigUInt64LE(96), BigInt(program.length))
  }
  assert.equal(exitProgram('riscv64').length, 0)
})
