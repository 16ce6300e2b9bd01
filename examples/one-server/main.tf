# One server with GPUs is a cloud: prefill on one of its GPUs and decode on another, behind a Dynamo router.
# No account and no orchestrator: `terraform apply` on the server itself. docs/guides/one-server.md goes through it.
#
#   terraform apply -var gpu=H200 -var 'engine_runtimes={ sglang = "/opt/sglang" }'

terraform {
  required_version = ">= 1.8"
  required_providers {
    disagg = { source = "disagg/disagg" }
  }
}

provider "disagg" {
  local = {
    gpus            = "detected"
    engine_runtimes = var.engine_runtimes
  }
}

variable "model" {
  description = "A model that fits one of the GPUs, by its name on the hub."
  type        = string
  default     = "Qwen/Qwen3-8B"
}

variable "gpu" {
  description = "The GPUs of each machine: `H200` is one, `H200:2` two. The provider's program lists what is there, by `local gpus`."
  type        = string
  default     = "H200"
}

variable "engine" {
  description = "`sglang`, `vllm` or `trtllm`."
  type        = string
  default     = "sglang"
}

variable "decode" {
  description = "How many machines decode; one reads prompts. Each has GPUs of its own."
  type        = number
  default     = 1
}

variable "runtime" {
  description = "`venv`: an engine in a virtual environment. `container` needs docker with NVIDIA's container toolkit, and was not measured on this cloud."
  type        = string
  default     = "venv"
}

variable "engine_runtimes" {
  description = "With `venv`: the root of each engine's virtual environment, as in `{ sglang = \"/opt/sglang\" }`."
  type        = map(string)
  default     = {}
}

variable "secret_env" {
  description = "Secrets of the engines, by reference: a gated model needs `{ HF_TOKEN = \"env://HF_TOKEN\" }`."
  type        = map(string)
  default     = {}
}

variable "update_strategy" {
  description = "How a change is rolled. This one is for a server whose GPUs are all taken: the old machine goes first, and the service answers nothing new until its successor has loaded the model. With a GPU to spare give `null`, and nothing is interrupted."
  type        = object({ max_unavailable = number, max_surge = number })
  default     = { max_unavailable = 1, max_surge = 0 }
}

resource "disagg_fleet" "server" {
  name  = "server"
  cloud = "local"
}

resource "disagg_service" "chat" {
  name     = "chat"
  fleet_id = disagg_fleet.server.id
  model    = var.model
}

resource "disagg_replica_group" "prefill" {
  name            = "prefill"
  service_id      = disagg_service.chat.id
  role            = "prefill"
  replicas        = 1
  resources       = { gpu = var.gpu }
  engine          = { type = var.engine, runtime = var.runtime }
  secret_env      = var.secret_env
  update_strategy = var.update_strategy
}

resource "disagg_replica_group" "decode" {
  name            = "decode"
  service_id      = disagg_service.chat.id
  role            = "decode"
  replicas        = var.decode
  resources       = { gpu = var.gpu }
  engine          = { type = var.engine, runtime = var.runtime }
  secret_env      = var.secret_env
  update_strategy = var.update_strategy
}

resource "disagg_endpoint" "chat" {
  service_id = disagg_service.chat.id
  group_ids  = [disagg_replica_group.prefill.id, disagg_replica_group.decode.id]
}

output "url" {
  description = "Base URL for clients of the OpenAI API, on this server."
  value       = disagg_endpoint.chat.url
}
