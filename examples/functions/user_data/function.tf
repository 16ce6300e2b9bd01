locals {
  # The very bytes that a prefill worker of this service boots with.
  worker = provider::disagg::user_data({
    service = {
      name     = "glm"
      fleet_id = "aws/us-east-2/pd"
      model    = "zai-org/GLM-4.5-Air-FP8"
    }
    group = {
      name      = "prefill"
      role      = "prefill"
      resources = { gpu = "H200:8" }
      engine    = { type = "sglang", tensor_parallel = 1 }
    }
    address = "10.0.0.10"
  })
}

output "size" {
  value = "${local.worker.size} of ${local.worker.limit} bytes"
}

output "cloud_config" {
  value = local.worker.text
}
