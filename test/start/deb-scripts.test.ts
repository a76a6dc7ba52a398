import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SCRIPTS } from '../../release/deb/scripts.ts'
import { tryRun } from '../../testkit/programs.ts'

for (const reason of ['configure', 'abort-upgrade', 'abort-remove', 'abort-deconfigure']) {
  test(`postinst ${reason} starts the service`, async (t) => {
    const calls = await callsOf(t, 'postinst', [reason])
    assert.deepEqual(calls.slice(-2), [
      'systemctl --system daemon-reload',
      'deb-systemd-invoke start leat.service',
    ])
  })
}

test('prerm stops the service', async (t) => {
  assert.deepEqual(await callsOf(t, 'prerm', ['upgrade']), ['deb-systemd-invoke stop leat.service'])
})

/** Which programs a script of the package calls on a machine with systemd. The programs do nothing. */
async function callsOf(
  t: TestContext,
  name: keyof typeof SCRIPTS,
  args: readonly string[],
): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-deb-scripts-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const bin = join(folder, 'bin')
  await mkdir(bin)
  const calls = join(folder, 'calls')
  await writeFile(calls, '')
  for (const program of ['useradd', 'grep', 'systemctl', 'deb-systemd-helper', 'deb-systemd-invoke']) {
    await writeFile(join(bin, program), `#!/bin/sh\necho "${program} $*" >> ${calls}\n`)
    await chmod(join(bin, program), 0o755)
  }
  // A machine with systemd has this folder.
  const script = SCRIPTS[name].replaceAll('/run/systemd/system', bin)
  const ended = await tryRun('/bin/sh', ['-c', script, name, ...args], {
    env: { PATH: bin, DPKG_ROOT: '' },
  })
  assert.equal(ended.code, 0, ended.stderr)
  return (await readFile(calls, 'utf8')).trim().split('\n')
}
