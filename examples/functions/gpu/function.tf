locals {
  request = provider::disagg::gpu("H200:4..8")
}

# { model = "H200", minimum = 4, maximum = 8 }
output "request" {
  value = local.request
}
