import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SettingsWatch } from '../../src/config/settings-watch.ts'
import { Deferred } from '../../src/lib/async/deferred.ts'

async function emptyFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-watch-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

/** Watches the file; the function gives the next change. */
function watched(t: TestContext, path: string): () => Promise<void> {
  let next = new Deferred<void>()
  const onChange = (): void => {
    next.resolve()
    next = new Deferred<void>()
  }
  const onEnd = (reason: string): void => assert.fail(reason)
  const watch = new SettingsWatch(path, { onChange, onEnd, quietMs: 20 })
  t.after(() => watch.close())
  return () => next.promise
}

test('a file that is written in place, replaced, removed and made again is told each time', async (t) => {
  const folder = await emptyFolder(t)
  const path = join(folder, 'config.yaml')
  await writeFile(path, 'data: a\n')
  const change = watched(t, path)
  const steps = [
    () => writeFile(path, 'data: b\n'),
    async () => {
      await writeFile(`${path}.new`, 'data: c\n')
      await rename(`${path}.new`, path)
    },
    () => rm(path),
    () => writeFile(path, 'data: d\n'),
  ]
  for (const step of steps) {
    const changed = change()
    await step()
    await changed
  }
})

test('a ConfigMap whose symlink is swapped is told, as Kubernetes swaps it', async (t) => {
  const folder = await emptyFolder(t)
  const version = async (name: string, text: string): Promise<void> => {
    await mkdir(join(folder, name))
    await writeFile(join(folder, name, 'config.yaml'), text)
    await symlink(name, join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
  }
  await version('..1', 'data: a\n')
  await symlink('..data/config.yaml', join(folder, 'config.yaml'))
  const change = watched(t, join(folder, 'config.yaml'))
  const changed = change()
  await version('..2', 'data: b\n')
  await changed
})

test('a folder that is not there ends the watch with the reason', async (t) => {
  const folder = await emptyFolder(t)
  const ended = new Deferred<string>()
  const watch = new SettingsWatch(join(folder, 'none', 'config.yaml'), {
    onChange: () => assert.fail('there is no file'),
    onEnd: (reason) => ended.resolve(reason),
  })
  t.after(() => watch.close())
  assert.match(await ended.promise, /ENOENT/)
})
