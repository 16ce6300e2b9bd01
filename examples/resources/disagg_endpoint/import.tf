import {
  to = disagg_endpoint.tiny
  id = "local/local/pd/tiny"
}
