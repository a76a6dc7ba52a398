import { podman } from './podman.ts'
import { pullsThroughTheAgent } from './pulls.ts'

pullsThroughTheAgent(podman)
