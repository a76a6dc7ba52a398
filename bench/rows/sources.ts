import type { Context } from '../context.ts'
import { withResources } from '../resources.ts'
import { DockerDaemon, MISSING_DOCKER } from '../servers/docker-daemon.ts'
import { dockerImage } from './sources/docker-image.ts'
import { exportAndImport } from './sources/export-and-import.ts'
import { inPlace } from './sources/in-place.ts'
import { dockerStart } from './sources/start.ts'

/** Images that are on this machine already. */
export async function sources(context: Context): Promise<void> {
  if (context.settings.agentEntry === undefined) {
    context.report({ name: 'local sources', figures: [], checks: [], notes: ['only the agent is measured'] })
    return
  }
  await inPlace(context)
  await exportAndImport(context)
  await withDocker(context, 'an image of Docker', dockerImage)
  await withDocker(context, 'a start with 500 images in Docker', dockerStart)
}

function withDocker(
  context: Context,
  name: string,
  measure: (context: Context, docker: DockerDaemon) => Promise<void>,
): Promise<void> {
  return withResources(async (resources) => {
    const folder = resources.add(context.folder('docker'))
    const docker = await DockerDaemon.start(folder.path)
    if (docker === undefined) {
      context.report({ name, figures: [], checks: [], notes: [MISSING_DOCKER] })
      return
    }
    resources.add(docker)
    await measure(context, docker)
  })
}
