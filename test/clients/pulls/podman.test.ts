import { podman } from '../kinds/podman.ts'
import { pullsThroughTheAgent } from './pull-steps.ts'

pullsThroughTheAgent(podman)
