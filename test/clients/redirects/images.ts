import { buildImage } from '../../../testkit/registries/image.ts'

/** The images that the registry has as `team/app` and `team/other`. The buckets have the blobs of the first one. */
export const IMAGES = { app: buildImage('redirected'), other: buildImage('not in a bucket') }
